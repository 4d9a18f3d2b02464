#include "kit.h"

#include <stdio.h>
#include <string.h>

static void swap(char *a, char *b, size_t size) {
  while (size--) {
    char t = *a;
    *a++ = *b;
    *b++ = t;
  }
}

static void sink(char *base, size_t root, size_t n, size_t size, kit_order order) {
  for (size_t child; (child = 2 * root + 1) < n; root = child) {
    if (child + 1 < n && order(base + child * size, base + (child + 1) * size) < 0) child++;
    if (order(base + root * size, base + child * size) >= 0) return;
    swap(base + root * size, base + child * size, size);
  }
}

void kit_sort(void *base, size_t n, size_t size, kit_order order) {
  for (size_t i = n / 2; i-- > 0;) sink(base, i, n, size, order);
  while (n > 1) {
    n--;
    swap(base, (char *)base + n * size, size);
    sink(base, 0, n, size, order);
  }
}

void *kit_search(const void *key, const void *base, size_t n, size_t size, kit_order order) {
  const char *p = base;
  while (n > 0) {
    const char *middle = p + n / 2 * size;
    int c = order(key, middle);
    if (c == 0) return (void *)middle;
    if (c > 0) {
      p = middle + size;
      n--;
    }
    n /= 2;
  }
  return NULL;
}

int kit_by_int(const void *a, const void *b) {
  int x = *(const int *)a, y = *(const int *)b;
  return (x > y) - (x < y);
}

int kit_by_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

int kit_descending(const void *a, const void *b) { return kit_by_int(b, a); }

static int by_last_digit(const void *a, const void *b) { return *(const int *)a % 10 - *(const int *)b % 10; }

static const struct {
  const char *name;
  kit_order order;
} orders[] = {{"up", kit_by_int}, {"down", kit_descending}, {"digit", by_last_digit}};

void kit_sort_named(int *v, size_t n, const char *order) {
  for (size_t i = 0; i < sizeof orders / sizeof *orders; i++)
    if (!strcmp(orders[i].name, order)) kit_sort(v, n, sizeof *v, orders[i].order);
}

int kit_format(char *dst, size_t n, const char *title, const int *v, size_t count) {
  int used = snprintf(dst, n, "%s: [", title);
  for (size_t i = 0; i < count && used >= 0 && (size_t)used < n; i++)
    used += snprintf(dst + used, n - (size_t)used, i ? ", %d" : "%d", v[i]);
  if (used >= 0 && (size_t)used < n) used += snprintf(dst + used, n - (size_t)used, "]\n");
  return used;
}

int kit_roman(char *dst, size_t n, unsigned value) {
  static const struct {
    unsigned value;
    const char *text;
  } parts[] = {{1000, "M"}, {900, "CM"}, {500, "D"}, {400, "CD"}, {100, "C"}, {90, "XC"}, {50, "L"},
               {40, "XL"},  {10, "X"},   {9, "IX"},  {5, "V"},    {4, "IV"},  {1, "I"}};
  size_t used = 0;
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
    for (; value >= parts[i].value; value -= parts[i].value) {
      size_t length = strlen(parts[i].text);
      if (used + length >= n) return -1;
      memcpy(dst + used, parts[i].text, length);
      used += length;
    }
  if (used < n) dst[used] = 0;
  return (int)used;
}

int kit_leap(int64_t year) { return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0); }

int kit_date(char *dst, size_t n, int64_t day) {
  static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  int64_t year = 1970;
  for (; day < 0; day += 365 + kit_leap(year)) year--;
  for (; day >= 365 + kit_leap(year); year++) day -= 365 + kit_leap(year);
  int month = 0;
  for (; month < 11; month++) {
    int length = lengths[month] + (month == 1 && kit_leap(year));
    if (day < length) break;
    day -= length;
  }
  return snprintf(dst, n, "%04lld-%02d-%02lld", (long long)year, month + 1, (long long)day + 1);
}

const char *kit_weekday(int64_t day) {
  static const char *const names[] = {"Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday"};
  return names[(day % 7 + 7) % 7];
}
