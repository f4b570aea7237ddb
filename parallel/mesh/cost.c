#include "parallel/mesh/cost.h"

#include "parallel/comm/count.h"

volt_traffic volt_traffic_add(volt_traffic a, volt_traffic b)
{
    return (volt_traffic){a.messages + b.messages, a.bytes + b.bytes};
}

volt_traffic volt_traffic_sum_f64(int64_t count, int ranks, int rank)
{
    /* Without numbers there is no message, where a gather would still meet. */
    return count > 0 ? volt_traffic_all_gather((size_t)count * sizeof(double), ranks, rank)
                     : (volt_traffic){0, 0};
}

volt_traffic volt_traffic_sum_f32(int64_t count, int ranks, int rank)
{
    volt_traffic t;

    volt_count_sum_f32(&t.messages, &t.bytes, count, ranks, rank);
    return t;
}

volt_traffic volt_traffic_all_gather(size_t bytes_each, int ranks, int rank)
{
    volt_traffic t;

    volt_count_all_gather(&t.messages, &t.bytes, bytes_each, ranks, rank);
    return t;
}

volt_traffic volt_traffic_broadcast(size_t bytes, int ranks, int rank, int root)
{
    volt_traffic t;

    volt_count_broadcast(&t.messages, &t.bytes, bytes, ranks, rank, root);
    return t;
}

const volt_link *volt_links_between(const volt_links *links, int rank, int other)
{
    const int hosts = links->host_ranks;

    return !hosts || rank / hosts == other / hosts ? &links->near : &links->far;
}

const volt_link *volt_links_slowest(const volt_links *links, int ranks, int apart)
{
    const int64_t last = (int64_t)(ranks - 1) * apart;
    const int64_t all = (int64_t)ranks * apart;

    /* All on one host, if groups fit into hosts and hosts begin with one. */
    if (!links->host_ranks || last == 0 ||
        (all <= links->host_ranks && links->host_ranks % all == 0))
        return &links->near;
    return &links->far;
}

int64_t volt_rounds_sum_f64(int ranks)
{
    int64_t rounds = 0;

    for (int64_t distance = 1; distance < ranks; distance *= 2)
        rounds++;
    return rounds;
}

int64_t volt_rounds_sum_f32(volt_traffic t, int ranks)
{
    const int64_t rounds = 2 * ((int64_t)ranks - 1);

    return t.messages < rounds ? t.messages : rounds;
}

void volt_timeline_compute(volt_timeline *t, double seconds)
{
    t->now += seconds;
}

double volt_timeline_start(volt_timeline *t, double busy, double latency, bool bulk)
{
    const double begin = bulk && t->bulk_free > t->now ? t->bulk_free : t->now;

    if (bulk)
        t->bulk_free = begin + busy;
    return begin + busy + latency;
}

void volt_timeline_wait(volt_timeline *t, double arrival)
{
    if (arrival <= t->now)
        return;
    t->waited += arrival - t->now;
    t->now = arrival;
}
