// Whatever of the library is referred to here gets linked.
#include "kit.h"

// It is volatile, so that the compiler does not know what is in it.
static void *volatile uses[] = {
    (void *)kit_crc32,         (void *)kit_adler32,    (void *)kit_base64_encode, (void *)kit_base64_decode,
    (void *)kit_hex_encode,    (void *)kit_hex_decode, (void *)kit_utf8_length,   (void *)kit_utf8_valid,
    (void *)kit_varint_put,    (void *)kit_varint_get, (void *)kit_rle,           (void *)kit_map_new,
    (void *)kit_map_free,      (void *)kit_map_get,    (void *)kit_map_delete,    (void *)kit_map_sum,
    (void *)kit_map_copy,      (void *)kit_calc,       (void *)kit_status_text,   (void *)kit_variance,
    (void *)kit_median,        (void *)kit_determinant, (void *)kit_gcd,          (void *)kit_power,
    (void *)kit_prime,         (void *)kit_shuffle,    (void *)kit_seed,          (void *)kit_search,
    (void *)kit_matrix_multiply, (void *)kit_by_text,  (void *)kit_sort_named,    (void *)kit_format,
    (void *)kit_roman,         (void *)kit_date,       (void *)kit_weekday};
