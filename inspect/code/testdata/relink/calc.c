#include "kit.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct parser {
  const char *at;
  kit_status status;
  int depth;
};

static double sum(struct parser *p);

static const struct {
  const char *name;
  double (*f)(double);
} functions[] = {{"sqrt", sqrt}, {"sin", sin}, {"cos", cos}, {"exp", exp}, {"log", log}, {"floor", floor}};

static void skip(struct parser *p) {
  while (isspace((unsigned char)*p->at)) p->at++;
}

static int take(struct parser *p, char c) {
  skip(p);
  if (*p->at != c) return 0;
  p->at++;
  return 1;
}

static double fail(struct parser *p, kit_status s) {
  if (p->status == KIT_OK) p->status = s;
  p->at = "";
  return 0;
}

static double named(struct parser *p) {
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
    size_t n = strlen(functions[i].name);
    if (strncmp(p->at, functions[i].name, n)) continue;
    p->at += n;
    if (!take(p, '(')) return fail(p, KIT_SYNTAX);
    double v = sum(p);
    if (!take(p, ')')) return fail(p, KIT_SYNTAX);
    return functions[i].f(v);
  }
  return fail(p, KIT_NAME);
}

static double atom(struct parser *p) {
  if (++p->depth > 100) return fail(p, KIT_DEPTH);
  double v;
  if (take(p, '-')) {
    v = -atom(p);
  } else if (take(p, '(')) {
    v = sum(p);
    if (!take(p, ')')) v = fail(p, KIT_SYNTAX);
  } else if (isalpha((unsigned char)*p->at)) {
    v = named(p);
  } else {
    char *end;
    v = strtod(p->at, &end);
    if (end == p->at) return fail(p, KIT_SYNTAX);
    p->at = end;
  }
  p->depth--;
  return v;
}

static double product(struct parser *p) {
  double v = atom(p);
  for (;;) {
    if (take(p, '*')) {
      v *= atom(p);
    } else if (take(p, '/')) {
      double d = atom(p);
      if (d == 0) return fail(p, KIT_DIVISION);
      v /= d;
    } else {
      return v;
    }
  }
}

static double sum(struct parser *p) {
  double v = product(p);
  for (;;) {
    if (take(p, '+')) v += product(p);
    else if (take(p, '-')) v -= product(p);
    else return v;
  }
}

kit_status kit_calc(const char *text, double *result) {
  struct parser p = {text, KIT_OK, 0};
  *result = sum(&p);
  skip(&p);
  if (p.status == KIT_OK && *p.at) p.status = KIT_SYNTAX;
  return p.status;
}

const char *kit_status_text(kit_status s) {
  switch (s) {
  case KIT_OK: return "ok";
  case KIT_SYNTAX: return "not an expression";
  case KIT_DIVISION: return "division by zero";
  case KIT_NAME: return "no such function";
  case KIT_DEPTH: return "nested too deep";
  }
  return "unknown";
}

double kit_mean(const double *v, size_t n) {
  double s = 0;
  for (size_t i = 0; i < n; i++) s += v[i];
  return n ? s / (double)n : 0;
}

double kit_variance(const double *v, size_t n) {
  double m = kit_mean(v, n), s = 0;
  for (size_t i = 0; i < n; i++) s += (v[i] - m) * (v[i] - m);
  return n > 1 ? s / (double)(n - 1) : 0;
}

static int by_double(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

double kit_median(double *v, size_t n) {
  if (!n) return 0;
  kit_sort(v, n, sizeof *v, by_double);
  return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

void kit_matrix_multiply(double *dst, const double *a, const double *b, size_t n) {
  for (size_t i = 0; i < n; i++)
    for (size_t j = 0; j < n; j++) {
      double s = 0;
      for (size_t k = 0; k < n; k++) s += a[i * n + k] * b[k * n + j];
      dst[i * n + j] = s;
    }
}

static void swap_rows(double *m, size_t n, size_t a, size_t b) {
  for (size_t i = 0; i < n; i++) {
    double t = m[a * n + i];
    m[a * n + i] = m[b * n + i];
    m[b * n + i] = t;
  }
}

double kit_determinant(double *m, size_t n) {
  double d = 1;
  for (size_t c = 0; c < n; c++) {
    size_t best = c;
    for (size_t r = c + 1; r < n; r++)
      if (fabs(m[r * n + c]) > fabs(m[best * n + c])) best = r;
    if (m[best * n + c] == 0) return 0;
    if (best != c) {
      swap_rows(m, n, c, best);
      d = -d;
    }
    d *= m[c * n + c];
    for (size_t r = c + 1; r < n; r++) {
      double f = m[r * n + c] / m[c * n + c];
      for (size_t k = c; k < n; k++) m[r * n + k] -= f * m[c * n + k];
    }
  }
  return d;
}

uint64_t kit_gcd(uint64_t a, uint64_t b) {
  while (b) {
    uint64_t t = a % b;
    a = b;
    b = t;
  }
  return a;
}

uint64_t kit_power(uint64_t base, uint64_t exponent, uint64_t modulus) {
  uint64_t r = 1 % modulus;
  for (base %= modulus; exponent; exponent >>= 1, base = base * base % modulus)
    if (exponent & 1) r = r * base % modulus;
  return r;
}

int kit_prime(uint64_t n) {
  static const uint8_t small[] = {2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37};
  if (n < 2) return 0;
  for (size_t i = 0; i < sizeof small; i++)
    if (n % small[i] == 0) return n == small[i];
  for (uint64_t d = 41; d * d <= n; d += 2)
    if (n % d == 0) return 0;
  return 1;
}

static uint64_t state[2] = {0x853c49e6748fea9b, 0xda3e39cb94b95bdb};

void kit_seed(uint64_t seed) {
  state[0] = seed;
  state[1] = ~seed * 0x9e3779b97f4a7c15;
}

uint64_t kit_random(void) {
  uint64_t x = state[0], y = state[1];
  state[0] = y;
  x ^= x << 23;
  state[1] = x ^ y ^ (x >> 17) ^ (y >> 26);
  return state[1] + y;
}

void kit_shuffle(int *v, size_t n) {
  for (size_t i = n; i > 1; i--) {
    size_t j = kit_random() % i;
    int t = v[i - 1];
    v[i - 1] = v[j];
    v[j] = t;
  }
}
