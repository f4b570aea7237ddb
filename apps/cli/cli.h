/* cli.h - shared by all commands of `volt`: table entry, options, progress, printing.
 *
 * A command is one file, cmd_NAME.c or bench/NAME.c, that defines one `const cli_command`
 * listed in commands.c. Its options are a table; parsing, defaults, range checks and --help all
 * come from it. Commands print results on stdout, call the library and return its status; only
 * main() prints errors and exits.
 */
#ifndef VOLT_APPS_CLI_H
#define VOLT_APPS_CLI_H
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/callbacks.h"
#include "base/status.h"
#include "io/json/json.h"
#include "parallel/comm.h"

typedef enum cli_type {
    CLI_FLAG,     /* bool */
    CLI_INT,      /* int64_t */
    CLI_REAL,     /* double */
    CLI_DURATION, /* double, seconds; written 90, 45s, 30m, 2h or 1h30m */
    CLI_TEXT,     /* const char *, borrowed from argv; NULL when absent without default */
    CLI_CHOICE,   /* int, index into the words of `value`; -1 when absent without default */
    CLI_WORD,     /* const char *, one of the words of `value`; NULL as for CLI_TEXT */
    CLI_INTS,     /* cli_list of integers */
    CLI_REALS     /* cli_list */
} cli_type;

#define CLI_LIST_MAX 64

typedef struct cli_list {
    double v[CLI_LIST_MAX];
    int count; /* 0 when the option was not given */
} cli_list;

typedef struct cli_option {
    const char *name; /* "--spacing" */
    char letter;      /* 'o' for -o, or 0 */
    cli_type type;
    size_t offset; /* of the field in the command's options struct */
    /* How the value is written: a placeholder, "fp32|bf16" for a choice or word, "[D,]H,W" for
     * a list (a bracket marks a part that may be left out; "A[,B,...]" is 1 to CLI_LIST_MAX
     * numbers). NULL for a flag. */
    const char *value;
    const char *fallback; /* default, written as a user would; NULL for none */
    double low, high;     /* numbers must lie in [low, high]; 0, 0 checks nothing */
    const char *help;
} cli_option;

/* Common options that a command takes; CLI_RANKS: MPI may start it as several processes. */
enum { CLI_JSON = 1, CLI_THREADS = 2, CLI_RANKS = 4 };

/* Headings of the list of commands, in the order of 'volt --help'. */
typedef enum cli_section {
    CLI_DATA = 1,
    CLI_TRAINING,
    CLI_PREDICTION,
    CLI_EVALUATION,
    CLI_VISUALS,
    CLI_EXCHANGE,
    CLI_SECTIONS_END
} cli_section;

typedef struct cli cli;

typedef struct cli_command {
    const char *name; /* "train", or two words: "bench net" */
    cli_section section;
    const char *one_line;   /* for the list of commands */
    const char *args;       /* positional arguments as printed: "IMAGE [MASK...]" */
    int min_args, max_args; /* max_args -1: any number */
    /* For --help: one line per paragraph, wrapped when printed, with empty lines between them;
     * a line that begins with a blank is printed as it stands. */
    const char *about;
    const char *example; /* one or more lines, without the "$ " */
    unsigned common;     /* CLI_JSON | CLI_THREADS | CLI_RANKS */
    const cli_option *options;
    size_t options_count;
    size_t options_bytes; /* size of the struct that `offset` points into */
    volt_status (*run)(cli *c);
} cli_command;

#define CLI_OPTIONS(table, type)                                                               \
    .options = (table), .options_count = sizeof(table) / sizeof(table)[0],                     \
    .options_bytes = sizeof(type)

/* Units of work as last reported. */
typedef struct cli_progress {
    char what[32];
    int64_t done, total, first; /* first: done when it began */
    double began, drawn;        /* s */
} cli_progress;

/* One run of one command. */
struct cli {
    const cli_command *command;
    const char **args; /* positional arguments, borrowed from argv; the array is owned */
    int args_count;
    void *options; /* the command's struct, filled; owned */
    bool help, json, quiet, verbose;
    int64_t threads;          /* 0 = default */
    volt_comm *comm;          /* the processes that run the command together; NULL = this one */
    bool silent;              /* another rank prints the error */
    const cli_option **given; /* options of the command line, in order; owned */
    int given_count;
    volt_callbacks callbacks; /* pass &c->callbacks to long calls */
    struct {
        bool terminal, shown, told_cancel;
        cli_progress whole, part; /* "cases", and "tiles" of one of them */
        double fraction;          /* of the whole that is done, as last shown */
        char state[256];          /* "epoch 3/10, loss 0.4121" */
        char state_of[32];        /* the units that it describes; "" until their next report */
        int width;                /* of the line on the terminal, columns */
        bool utf8;
    } progress;
};

/* Every command; ends with NULL. */
extern const cli_command *const cli_commands[];

/* The command named by the first one or two words of argv; *words is the number used.
 * VOLT_EINVAL with a suggestion when there is none. */
volt_status cli_find_command(const cli_command **out, int *words, int count, char **argv);
/* Fills c->args, c->options and the common fields from what follows the command's name. */
volt_status cli_parse(cli *c, const cli_command *command, int count, char **argv);
void cli_free(cli *c);
/* Whether the command line has the option called `name` ("--lr"), not only its default. */
bool cli_given(const cli *c, const char *name);

/* The option at `index` of those that `command` understands, its own before the common ones;
 * NULL behind the last one. */
const cli_option *cli_option_at(const cli_command *command, size_t index);

/* Reads one value as `option` says, into `field`. VOLT_EINVAL names option, value, range. */
volt_status cli_set_value(void *field, const cli_option *option, const char *text);
/* Reads numbers with commas between them, for lists that no cli_list holds: at most `most`.
 * VOLT_EINVAL names the option and the part that is no number. */
volt_status cli_read_numbers(double *out, int *count, int most, const char *name,
                             const char *text);
/* Reads "40=1,230=2": at most `most` pairs of integers. VOLT_EINVAL. */
volt_status cli_read_pairs(int32_t *from, int32_t *to, int *count, int most, const char *name,
                           const char *text);
/* The one of `count` words that `word` may be a misspelling of; NULL when none is near. */
const char *cli_suggest(const char *word, const char *const *words, size_t count);

/* True when `word` is the first of several commands' two words ("bench"). */
bool cli_is_group(const char *word);
bool cli_in_group(const cli_command *command, const char *group);
const char *cli_section_title(cli_section section);
/* An environment variable, or several, that VOLT reads. */
typedef struct cli_variable {
    const char *name, *help;
} cli_variable;
extern const cli_variable cli_environment[]; /* ends with a NULL name */
/* What follows "volt help": nothing, a topic, a group or a command; or, for packagers,
 * --man [COMMAND], --completion bash|zsh|fish or --commands. VOLT_EINVAL. */
volt_status cli_help(int count, char **words);
void cli_print_help(const cli_command *command);
/* Prints the manual page of a command, or with NULL that of volt itself, as roff. */
void cli_print_man(const cli_command *command);
/* Prints a completion script. VOLT_EINVAL: another shell than bash, zsh or fish. */
volt_status cli_print_completion(const char *shell);

/* The texts as an array; NULL when memory runs out. */
json_t *cli_json_strings(char *const *text, int64_t count);
/* Prints `root` (taken over) as one line on stdout. VOLT_ENOMEM, also when `root` is NULL. */
volt_status cli_print_json(json_t *root);
/* Prints a path of a command line on stdout, quoted if a shell would split or expand it. */
void cli_print_word(const char *path);

/* VOLT_EINVAL unless the name of an output ends in one of `endings`, "png|svg", or with NULL,
 * for a folder, if it has the ending of a file. `path` NULL: not asked for. Commands call it
 * before any work. */
volt_status cli_check_output(const cli *c, const char *path, const char *endings);
/* The same; VOLT_EINVAL "volt NAME needs an output" when `path` is NULL. */
volt_status cli_need_output(const cli *c, const char *path, const char *endings);
/* For --work: a folder that exists may have any ending, and be only read. NULL: not given. */
volt_status cli_check_work(const cli *c, const char *folder);
#define CLI_FIGURE "png|jpg|jpeg" /* io/figure.h */

enum { CLI_REMEDY_ROOM = 256 };
/* "; " and what the user of this command can do about a sentence of the library; "": nothing is
 * known. Returns `room`. */
const char *cli_remedy(char room[CLI_REMEDY_ROOM], const cli *c, const char *sentence);
/* `st`; a lack of memory while `path` was processed names it. */
volt_status cli_about(volt_status st, const char *path);
/* Before any work: paths that must exist; an output folder (NULL: none) that exists or can be
 * created, and an output file whose folder exists. VOLT_EIO. */
volt_status cli_check_inputs(const char *const *path, int count);
volt_status cli_check_output_folder(const char *path);
volt_status cli_check_output_file(const char *path);

/* VOLT_EINVAL where RUN is something else that users have, such as a data set; the sentence
 * ends with `remedy`, which may be empty. VOLT_OK does not mean that it is a run. */
volt_status cli_check_run(const char *path, const char *remedy);
/* VOLT_EDATA where a data set is expected and `path` is the folder of a run. VOLT_OK does not
 * mean that it is a data set. */
volt_status cli_check_dataset(const char *path);
/* `given`, the value of --dataset, else the dataset.json of the masks in `folder`. The caller
 * owns *out (volt_free). VOLT_EIO: no folder; VOLT_EDATA: it has none. */
volt_status cli_find_dataset_json(char **out, const char *folder, const char *given);

/* An option at argv[*i] that the command does not have, but that another program or build has:
 * fails with what helps here. *taken, and *i at its value, for one that changes nothing
 * (--device cpu). VOLT_OK otherwise. VOLT_EINVAL, VOLT_ENOTSUP. */
volt_status cli_foreign_option(bool *taken, const cli_command *command, int *i, int count,
                               char **argv);
/* What nnU-Net's command `word` is called here; NULL: it is none. */
const char *cli_foreign_command(const char *word);
/* VOLT_ENOTSUP when a launcher (MPI, srun, torchrun) started several processes, unless they
 * share the cases with --part. */
volt_status cli_need_one_process(int count, char **argv);

/* Of a command with CLI_RANKS: sets c->comm where a launcher of MPI started several processes,
 * collectively. VOLT_ENOTSUP as cli_need_one_process() where VOLT cannot use the launcher. */
volt_status cli_open_ranks(cli *c, int count, char **argv);
/* Whether this process reads, decides and prints. */
bool cli_leads(const cli *c);
/* Collective: all get status and sentence of what rank 0 has done alone, however long it took;
 * `mine` of the others does not count. Without ranks it returns `mine`. */
volt_status cli_follow(cli *c, volt_status mine);
/* The end of the command's work, after which c->comm can only be aborted or closed: tells the
 * others of a failure; returns the first one of the job, which may be another rank's. Sets
 * c->silent. */
volt_status cli_conclude(cli *c, volt_status st);

/* VOLT_ENOMEM unless the system can start the threads that the command may use. */
volt_status cli_need_threads(const cli *c);
/* Sets c->callbacks; from here on the first Ctrl-C, SIGTERM, SIGHUP (unless ignored, as by
 * nohup) or SIGXCPU asks the running call to stop in order; a further Ctrl-C or SIGTERM ends
 * the process. */
void cli_watch(cli *c);
void cli_end_progress(cli *c); /* removes or completes the progress line */

#endif
