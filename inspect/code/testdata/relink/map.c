#include "kit.h"

#include <stdlib.h>
#include <string.h>

struct entry {
  char *key;
  int64_t value;
  struct entry *next;
};

struct kit_map {
  struct entry **slots;
  size_t size, used;
};

static size_t maps; // alive

kit_map *kit_map_new(void) {
  kit_map *m = calloc(1, sizeof *m);
  if (m) maps++;
  return m;
}

static void drop(struct entry *e) {
  while (e) {
    struct entry *next = e->next;
    free(e->key);
    free(e);
    e = next;
  }
}

void kit_map_free(kit_map *m) {
  for (size_t i = 0; i < m->size; i++) drop(m->slots[i]);
  free(m->slots);
  free(m);
  maps--;
}

static struct entry **slot(const kit_map *m, const char *key) { return &m->slots[kit_fnv1a(key) & (m->size - 1)]; }

static struct entry *find(const kit_map *m, const char *key) {
  if (!m->size) return NULL;
  for (struct entry *e = *slot(m, key); e; e = e->next)
    if (!strcmp(e->key, key)) return e;
  return NULL;
}

static int grow(kit_map *m) {
  kit_map bigger = {calloc(m->size ? 2 * m->size : 8, sizeof(struct entry *)), m->size ? 2 * m->size : 8, m->used};
  if (!bigger.slots) return -1;
  for (size_t i = 0; i < m->size; i++)
    for (struct entry *e = m->slots[i], *next; e; e = next) {
      next = e->next;
      struct entry **s = slot(&bigger, e->key);
      e->next = *s;
      *s = e;
    }
  free(m->slots);
  *m = bigger;
  return 0;
}

int kit_map_set(kit_map *m, const char *key, int64_t value) {
  struct entry *e = find(m, key);
  if (!e) {
    if (m->used >= m->size && grow(m)) return -1;
    e = malloc(sizeof *e);
    if (!e) return -1;
    e->key = strdup(key);
    struct entry **s = slot(m, key);
    e->next = *s;
    *s = e;
    m->used++;
  }
  e->value = value;
  return 0;
}

int kit_map_get(const kit_map *m, const char *key, int64_t *value) {
  struct entry *e = find(m, key);
  if (e) *value = e->value;
  return e != NULL;
}

int kit_map_delete(kit_map *m, const char *key) {
  if (!m->size) return 0;
  for (struct entry **p = slot(m, key); *p; p = &(*p)->next)
    if (!strcmp((*p)->key, key)) {
      struct entry *e = *p;
      *p = e->next;
      e->next = NULL;
      drop(e);
      m->used--;
      return 1;
    }
  return 0;
}

size_t kit_map_len(const kit_map *m) { return m->used; }

void kit_map_each(const kit_map *m, void (*f)(const char *, int64_t, void *), void *arg) {
  for (size_t i = 0; i < m->size; i++)
    for (struct entry *e = m->slots[i]; e; e = e->next) f(e->key, e->value, arg);
}

static void add(const char *key, int64_t value, void *arg) {
  (void)key;
  *(int64_t *)arg += value;
}

int64_t kit_map_sum(const kit_map *m) {
  int64_t sum = 0;
  kit_map_each(m, add, &sum);
  return sum;
}

static void put(const char *key, int64_t value, void *arg) { kit_map_set(arg, key, value); }

int kit_map_copy(kit_map *dst, const kit_map *src) {
  kit_map_each(src, put, dst);
  return kit_map_len(dst) == kit_map_len(src);
}
