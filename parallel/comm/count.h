/* count.h - what calls of comm.h send, exactly, for the cost of a mesh.
 *
 * Messages and bytes that one rank of `size` sends, as volt_comm_counts tells them.
 *
 * Threads   no shared state.
 */
#ifndef VOLT_PARALLEL_COMM_COUNT_H
#define VOLT_PARALLEL_COMM_COUNT_H
#include <stddef.h>
#include <stdint.h>

void volt_count_sum_f32(int64_t *messages, int64_t *bytes, int64_t count, int size, int rank);
/* volt_comm_sum_f64 is an all_gather of 8 count bytes. */
void volt_count_all_gather(int64_t *messages, int64_t *bytes, size_t bytes_each, int size,
                           int rank);
void volt_count_broadcast(int64_t *messages, int64_t *bytes, size_t bytes_each, int size,
                          int rank, int root);
void volt_count_barrier(int64_t *messages, int64_t *bytes, int size);

#endif
