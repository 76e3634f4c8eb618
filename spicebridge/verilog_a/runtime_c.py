"""The fixed part of every generated C file: the OSDI 0.3 interface and the arithmetic C leaves undefined."""

HEADER = r"""
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NONE UINT32_MAX
#define EXPORT __attribute__((visibility("default")))

enum { KIND_INSTANCE = 1 << 30, TYPE_REAL = 0, TYPE_INTEGER = 1 };
enum { ACCESS_SET = 1, ACCESS_INSTANCE = 4 };
enum { ENTRY_RESIST = 4, ENTRY_REACT = 8 };
enum { CALC_REACT_JACOBIAN = 8, ENABLE_LIM = 256, INIT_LIM = 512, FIRST_STEP = 16384 };
enum { RET_LIM = 1, RET_FATAL = 2 };

typedef struct { char *name; uint32_t num_args; void *func; } lim_function;
typedef struct { char **names; double *values; char **string_names; char **strings; } sim_parameters;
typedef struct {
    sim_parameters parameters;
    double abstime;
    double *prev_solve;
    double *prev_state;
    double *next_state;
    uint32_t flags;
} sim_info;
typedef struct { uint32_t code; uint32_t parameter; } init_error;
typedef struct { uint32_t flags; uint32_t num_errors; init_error *errors; } init_info;
typedef struct { uint32_t node_1, node_2; } node_pair;
typedef struct { node_pair nodes; uint32_t react_ptr_off; uint32_t flags; } jacobian_entry;
typedef struct {
    char *name, *units, *residual_units;
    uint32_t resist_residual_off, react_residual_off, resist_limit_rhs_off, react_limit_rhs_off;
    bool is_flow;
} node_info;
typedef struct {
    char **name;
    uint32_t num_alias;
    char *description, *units;
    uint32_t flags, len;
} parameter_info;
typedef struct { char *name; node_pair nodes; } noise_source;
typedef struct {
    char *name;
    uint32_t num_nodes, num_terminals;
    node_info *nodes;
    uint32_t num_jacobian_entries;
    jacobian_entry *jacobian_entries;
    uint32_t num_collapsible;
    node_pair *collapsible;
    uint32_t collapsed_offset;
    noise_source *noise_sources;
    uint32_t num_noise_sources;
    uint32_t num_parameters, num_instance_parameters, num_opvars;
    parameter_info *parameters;
    uint32_t node_mapping_offset, jacobian_ptr_resist_offset;
    uint32_t num_states, state_idx_offset;
    uint32_t bound_step_offset;
    uint32_t instance_size, model_size;
    void *(*access)(void *, void *, uint32_t, uint32_t);
    void (*setup_model)(void *, void *, sim_parameters *, init_info *);
    void (*setup_instance)(void *, void *, void *, double, uint32_t, sim_parameters *, init_info *);
    uint32_t (*eval)(void *, void *, const void *, const sim_info *);
    void (*load_noise)(void *, void *, double, double *);
    void (*load_residual_resist)(void *, void *, double *);
    void (*load_residual_react)(void *, void *, double *);
    void (*load_limit_rhs_resist)(void *, void *, double *);
    void (*load_limit_rhs_react)(void *, void *, double *);
    void (*load_spice_rhs_dc)(void *, void *, double *, double *);
    void (*load_spice_rhs_tran)(void *, void *, double *, double *, double);
    void (*load_jacobian_resist)(void *, void *);
    void (*load_jacobian_react)(void *, void *, double);
    void (*load_jacobian_tran)(void *, void *, double);
} descriptor;

EXPORT void (*osdi_log)(void *, char *, uint32_t);

static void sb_log(void *handle, const char *message) {
    if (osdi_log) osdi_log(handle, (char *)message, 4);
}

/* Rounds half away from zero, and wraps modulo 2^32 as 32-bit integers do. */
static inline int32_t sb_round(double x) {
    return (fabs(x) < 9.2e18) ? (int32_t)(uint32_t)(uint64_t)llround(x) : 0;
}
/* Shifts are logical and unsigned on the right, as the language says; C leaves wide ones undefined. */
static inline int32_t sb_shl(int32_t a, int32_t n) {
    return ((uint32_t)n < 32u) ? (int32_t)((uint32_t)a << (uint32_t)n) : 0;
}
static inline int32_t sb_shr(int32_t a, int32_t n) {
    return ((uint32_t)n < 32u) ? (int32_t)((uint32_t)a >> (uint32_t)n) : 0;
}
/* An integer division by zero would kill the simulator's process. */
static inline int32_t sb_div(int32_t a, int32_t b, uint32_t *flags) {
    if (b == 0) { *flags |= RET_FATAL | 0x80000000u; return 0; }
    return (b == -1) ? (int32_t)(0u - (uint32_t)a) : a / b;
}
static inline int32_t sb_rem(int32_t a, int32_t b, uint32_t *flags) {
    if (b == 0) { *flags |= RET_FATAL | 0x80000000u; return 0; }
    return (b == -1) ? 0 : a % b;
}
static inline int32_t sb_clog2(int32_t a) {
    return (a == 0) ? 0 : 32 - __builtin_clz((uint32_t)a);
}
static double sb_simparam(void *handle, const sim_parameters *given, const char *name,
                          const double *otherwise, uint32_t *flags) {
    for (uint32_t i = 0; given->names && given->names[i]; i++)
        if (strcmp(given->names[i], name) == 0) return given->values[i];
    if (otherwise) return *otherwise;
    char text[256];
    snprintf(text, sizeof text, "fatal: the simulator has no $simparam \"%s\"\n", name);
    sb_log(handle, text);
    *flags |= RET_FATAL;
    return 0.0;
}
/* The simulator leaves out a collapse that would join two terminals, or a terminal and ground: an open
   circuit where the model asks for a short one. Such an instance is refused. */
static bool sb_joins_terminals(uint32_t *group, uint32_t nodes, uint32_t connected, const node_pair *pairs,
                               const bool *collapsed, uint32_t count) {
    for (uint32_t i = 0; i <= nodes; i++) group[i] = i;
    for (uint32_t k = 0; k < count; k++) {
        if (!collapsed[k]) continue;
        uint32_t a = group[pairs[k].node_1], b = group[pairs[k].node_2 == NONE ? nodes : pairs[k].node_2];
        for (uint32_t i = 0; i <= nodes; i++) if (group[i] == b) group[i] = a;
    }
    for (uint32_t i = 0; i < connected; i++)
        for (uint32_t j = i + 1; j <= nodes; j++)
            if ((j < connected || j == nodes) && group[i] == group[j]) return true;
    return false;
}
typedef double (*lim0)(bool, bool *, double, double);
typedef double (*lim1)(bool, bool *, double, double, double);
typedef double (*lim2)(bool, bool *, double, double, double, double);
"""
