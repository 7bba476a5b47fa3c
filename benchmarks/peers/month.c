/* The month of benchmarks/month.py in C, in single precision with sums in double; for comparison only.
 *
 * plain_month   : user by user, as one would write it first, with the library's exponentials
 * blocked_month : what the compiled kernel does: users in the inner loop, blocks in the cache, an exponential without
 *                 calls, so that the compiler vectorises; it may fuse multiplications and additions
 */
#include <math.h>
#include <stdint.h>
#include <string.h>

enum { OFFERS = 12, BLOCK = 512 };

typedef struct {
    float base, maximum, horizon, per_log_depth, growth, ceiling, taste_step, outside;
    uint64_t key;
} Numbers;

typedef struct { /* users of one region, and the tables they see */
    const float *quality, *latency, *price, *size;
    const int8_t *tastes; /* [firm][user], rows `stride` apart */
    float *tenure, *depth;
    int16_t *offer;
    const uint8_t *signs, *free, *free_allowed; /* flags: of users, users and offers */
    const float *offered, *delay, *unit_price, *use; /* unit_price: [offer][signs a contract][newcomer] */
    const int16_t *firm;
    double *users, *used;
} Region;

static inline float draw(uint64_t key, uint64_t month, uint64_t user) { /* Philox4x32-10, first word */
    uint32_t a = (uint32_t)user, b = (uint32_t)(user >> 32), c = (uint32_t)month, d = (uint32_t)(month >> 32);
    uint32_t left = (uint32_t)key, right = (uint32_t)(key >> 32);
    for (int round = 0; round < 10; round++) {
        uint64_t first = (uint64_t)a * 0xD2511F53u, second = (uint64_t)c * 0xCD9E8D57u;
        a = (uint32_t)(second >> 32) ^ b ^ left;
        b = (uint32_t)second;
        c = (uint32_t)(first >> 32) ^ d ^ right;
        d = (uint32_t)first;
        left += 0x9E3779B9u;
        right += 0xBB67AE85u;
    }
    return ((float)(a >> 9) + 0.5f) * 0x1p-23f;
}

void plain_month(const Numbers *n, const Region *r, long count, long stride, long first, long month) {
    for (long i = 0; i < count; i++) {
        int held = r->offer[i] >= 0 ? r->firm[r->offer[i]] : -1;
        float leaving = 0, weight[OFFERS], best, total = 0;
        if (held >= 0)
            leaving = n->base - n->maximum * expm1f(-r->tenure[i] / n->horizon) + n->per_log_depth * log1pf(r->depth[i]);
        best = n->outside - leaving;
        for (int j = 0; j < OFFERS; j++) {
            const float unit = r->unit_price[4 * j + 2 * r->signs[i] + (r->firm[j] != held)];
            float u = r->quality[i] * r->offered[j] - r->latency[i] * r->delay[j] + r->price[i] * unit;
            u += n->taste_step * r->tastes[r->firm[j] * stride + i] - (r->firm[j] == held ? 0 : leaving);
            u = r->free[i] && !r->free_allowed[j] ? -INFINITY : u;
            weight[j] = u;
            best = u > best ? u : best;
        }
        for (int j = 0; j < OFFERS; j++) {
            total += expf(weight[j] - best);
            weight[j] = total;
        }
        float reach = draw(n->key, month, first + i) * (total + expf(n->outside - leaving - best));
        int passed = 0;
        while (passed < OFFERS && weight[passed] < reach)
            passed++;
        const int j = passed < OFFERS ? passed : -1;
        r->offer[i] = (int16_t)j;
        r->tenure[i] = (j >= 0 && r->firm[j] == held) ? r->tenure[i] + 1 : 0;
        if (j >= 0) {
            r->depth[i] += n->growth * (n->ceiling - r->depth[i]);
            r->users[j] += 1;
            r->used[j] += r->size[i] * r->depth[i] * r->use[j];
        }
    }
}

static inline float scale(float shifted) {
    uint32_t bits;
    memcpy(&bits, &shifted, 4);
    bits <<= 23;
    memcpy(&shifted, &bits, 4);
    return shifted;
}

static inline float exp_nonpositive(float x) {
    x *= 1.44269504f;
    x = x < -127.0f ? -127.0f : x;
    float shifted = x + (12582912.0f + 127.0f), r = x - (shifted - (12582912.0f + 127.0f));
    float p = 0.0096756557f + r * 0.0013276375f;
    p = 0.2402211761f + r * (0.0555071443f + r * p);
    return (1.0000000721f + r * (0.6931469658f + r * p)) * scale(shifted);
}

static inline float expm1_nonpositive(float x) {
    return x > -0.1f ? x * (1 + x * (0.5f + x * (1 / 6.0f + x * (1 / 24.0f)))) : exp_nonpositive(x) - 1;
}

static inline float log_above_1(float x) { /* natural logarithm */
    uint32_t bits;
    memcpy(&bits, &x, 4);
    int32_t k = (int32_t)(bits - 0x3F3504F3u) >> 23;
    bits = ((bits - 0x3F3504F3u) & 0x7FFFFFu) + 0x3F3504F3u;
    memcpy(&x, &bits, 4);
    float s = (x - 1) / (x + 1), z = s * s;
    return k * 0.693147181f + s * (2 + z * (0.6666677642f + z * (0.3997752787f + z * 0.2987228787f)));
}

/* A function of its own, for gcc forgets `restrict` where it inlines, and vectorises nothing. */
static __attribute__((noinline)) void weigh_up(
    int width, const float *restrict quality, const float *restrict latency, const float *restrict price,
    const float *restrict leaving, const int *restrict held, const int8_t *restrict taste, const uint8_t *restrict signs,
    const uint8_t *restrict free, float offered, float delay, const float unit_price[4], float step, int firm,
    int paid_only, float *restrict utility, float *restrict best
) {
    const float own_posted = unit_price[0], new_posted = unit_price[1];
    const float own_contract = unit_price[2], new_contract = unit_price[3];
    for (int i = 0; i < width; i++) {
        const float cost = leaving[i], old = best[i];
        const int stays = held[i] == firm;
        const float posted = stays ? own_posted : new_posted, contract = stays ? own_contract : new_contract;
        const float unit = signs[i] ? contract : posted;
        float u = quality[i] * offered - latency[i] * delay + price[i] * unit + step * taste[i];
        u -= stays ? 0 : cost;
        u = (paid_only & free[i]) ? -INFINITY : u;
        utility[i] = u;
        best[i] = u > old ? u : old;
    }
}

void blocked_month(const Numbers *n, const Region *r, long count, long stride, long first, long month) {
    float weight[OFFERS][BLOCK], best[BLOCK], leaving[BLOCK], reach[BLOCK];
    const float growth = n->growth, ceiling = n->ceiling;
    int held[BLOCK], chosen[BLOCK], passed[BLOCK];
    for (long start = 0; start < count; start += BLOCK) {
        const int width = count - start < BLOCK ? (int)(count - start) : BLOCK;
        const float *restrict quality = r->quality + start, *restrict latency = r->latency + start;
        const float *restrict price = r->price + start, *restrict size = r->size + start;
        float *restrict tenure = r->tenure + start, *restrict depth = r->depth + start;
        int16_t *restrict offer = r->offer + start;
        for (int i = 0; i < width; i++)
            held[i] = offer[i] >= 0 ? r->firm[offer[i]] : -1;
        for (int i = 0; i < width; i++) {
            float cost = n->base - n->maximum * expm1_nonpositive(-tenure[i] / n->horizon);
            cost += n->per_log_depth * log_above_1(1 + depth[i]);
            leaving[i] = held[i] >= 0 ? cost : 0;
            best[i] = n->outside - leaving[i];
            passed[i] = 0;
        }
        for (int j = 0; j < OFFERS; j++)
            weigh_up(width, quality, latency, price, leaving, held, r->tastes + r->firm[j] * stride + start,
                     r->signs + start, r->free + start, r->offered[j], r->delay[j], r->unit_price + 4 * j, n->taste_step,
                     r->firm[j], !r->free_allowed[j], weight[j], best);
        for (int i = 0; i < width; i++)
            reach[i] = 0;
        for (int j = 0; j < OFFERS; j++)
            for (int i = 0; i < width; i++)
                weight[j][i] = reach[i] += exp_nonpositive(weight[j][i] - best[i]);
        for (int i = 0; i < width; i++) {
            reach[i] += exp_nonpositive(n->outside - leaving[i] - best[i]);
            reach[i] *= draw(n->key, month, first + start + i);
        }
        for (int j = 0; j < OFFERS; j++)
            for (int i = 0; i < width; i++)
                passed[i] += weight[j][i] < reach[i];
        for (int i = 0; i < width; i++) {
            passed[i] = passed[i] < OFFERS ? passed[i] : -1;
            chosen[i] = passed[i] >= 0 ? r->firm[passed[i]] : -2;
        }
        for (int i = 0; i < width; i++) {
            offer[i] = (int16_t)passed[i];
            const float longer = tenure[i] + 1, more = growth * (ceiling - depth[i]); /* before: so no branch is left */
            tenure[i] = chosen[i] == held[i] ? longer : 0;
            depth[i] += passed[i] >= 0 ? more : 0;
        }
        for (int i = 0; i < width; i++) {
            const int j = passed[i];
            if (j >= 0) {
                r->users[j] += 1;
                r->used[j] += size[i] * depth[i] * r->use[j];
            }
        }
    }
}
