// A small library of the usual things, for the test that links it twice.
#ifndef KIT_H
#define KIT_H

#include <stddef.h>
#include <stdint.h>

// bytes.c
uint32_t kit_crc32(const uint8_t *p, size_t n);
uint32_t kit_adler32(const uint8_t *p, size_t n);
uint64_t kit_fnv1a(const char *s);
size_t kit_base64_encode(char *dst, const uint8_t *src, size_t n);
long kit_base64_decode(uint8_t *dst, const char *src, size_t n);
size_t kit_hex_encode(char *dst, const uint8_t *src, size_t n);
long kit_hex_decode(uint8_t *dst, const char *src, size_t n);
size_t kit_utf8_length(const char *s);
int kit_utf8_valid(const uint8_t *p, size_t n);
size_t kit_varint_put(uint8_t *p, uint64_t v);
size_t kit_varint_get(const uint8_t *p, size_t n, uint64_t *v);
size_t kit_rle(uint8_t *dst, const uint8_t *src, size_t n);

// map.c
typedef struct kit_map kit_map;
kit_map *kit_map_new(void);
void kit_map_free(kit_map *m);
int kit_map_set(kit_map *m, const char *key, int64_t value);
int kit_map_get(const kit_map *m, const char *key, int64_t *value);
int kit_map_delete(kit_map *m, const char *key);
size_t kit_map_len(const kit_map *m);
void kit_map_each(const kit_map *m, void (*f)(const char *, int64_t, void *), void *arg);
int64_t kit_map_sum(const kit_map *m);
int kit_map_copy(kit_map *dst, const kit_map *src);

// calc.c
typedef enum { KIT_OK, KIT_SYNTAX, KIT_DIVISION, KIT_NAME, KIT_DEPTH } kit_status;
kit_status kit_calc(const char *text, double *result);
const char *kit_status_text(kit_status s);
double kit_mean(const double *v, size_t n);
double kit_variance(const double *v, size_t n);
double kit_median(double *v, size_t n);
void kit_matrix_multiply(double *dst, const double *a, const double *b, size_t n);
double kit_determinant(double *m, size_t n);
uint64_t kit_gcd(uint64_t a, uint64_t b);
uint64_t kit_power(uint64_t base, uint64_t exponent, uint64_t modulus);
int kit_prime(uint64_t n);
uint64_t kit_random(void);
void kit_seed(uint64_t seed);
void kit_shuffle(int *v, size_t n);

// list.c
typedef int (*kit_order)(const void *, const void *);
void kit_sort(void *base, size_t n, size_t size, kit_order order);
void *kit_search(const void *key, const void *base, size_t n, size_t size, kit_order order);
int kit_by_int(const void *, const void *);
int kit_by_text(const void *, const void *);
int kit_descending(const void *, const void *);
void kit_sort_named(int *v, size_t n, const char *order);
int kit_format(char *dst, size_t n, const char *title, const int *v, size_t count);
int kit_roman(char *dst, size_t n, unsigned value);
int kit_date(char *dst, size_t n, int64_t day);
const char *kit_weekday(int64_t day);
int kit_leap(int64_t year);

#endif
