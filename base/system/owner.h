/* owner.h - one owner per folder: two programs must not write the same run or work folder.
 *
 * The owner holds a lock (flock) on FOLDER/.volt-lock, which names its host and process and is
 * removed with the lock. The system releases the lock of a process that ends in any way, so a
 * file that stays behind blocks nobody. Where the file system has no locks, the file itself is
 * the lock; it is ignored if the process that it names has ended on this machine.
 *
 * Threads   calls on different objects may run at the same time. The lock belongs to the
 *           object: a second one is refused within the same process too.
 */
#ifndef VOLT_BASE_SYSTEM_OWNER_H
#define VOLT_BASE_SYSTEM_OWNER_H
#include "base/callbacks.h"
#include "base/status.h"
VOLT_BEGIN_DECLS

#define VOLT_LOCK_FILE ".volt-lock"

typedef struct volt_owner volt_owner;

typedef enum volt_owner_rule {
    VOLT_OWNER_REFUSE = 1, /* fail while another owner lives */
    VOLT_OWNER_WAIT = 2    /* report it once, then wait until it has ended */
} volt_owner_rule;

/* Becomes the owner of `folder`, which is created, and removes temporary files without an owner
 * from it. VOLT_EIO: it has an owner (the sentence names host and process), or cannot be
 * written; VOLT_ECANCELLED. */
VOLT_MUST_USE volt_status volt_owner_take(volt_owner **out, const char *folder,
                                          volt_owner_rule rule, const volt_callbacks *cb);
/* Becomes one of several owners that write different files of the same kind into `folder`:
 * those with the same `key`, a word of at most 31 characters. Where the file system has no
 * locks there is one owner. VOLT_EIO: the owners have another key, as in volt_owner_take(). */
VOLT_MUST_USE volt_status volt_owner_join(volt_owner **out, const char *folder, const char *key,
                                          const volt_callbacks *cb);
/* Fails as volt_owner_take() would while another owner lives, but takes nothing: for an early
 * look. The lock file of an owner that has ended is removed. A folder that does not exist is
 * free. */
VOLT_MUST_USE volt_status volt_owner_check(const char *folder);
/* Also removes the folder if volt_owner_take() created it and it is still empty. NULL is
 * allowed. */
void volt_owner_release(volt_owner **owner);

VOLT_END_DECLS
#endif
