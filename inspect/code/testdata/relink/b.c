// Another one, with code, data, imports and pointers to functions of its own.
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <wchar.h>

#include "use.h"

__attribute__((import_module("host"), import_name("note"))) void note(int);
__attribute__((import_module("host"), import_name("rate"))) double rate(double, long long);

static char page[70000] = "a page of data that comes before that of the library";

static int first(int x) { return x + page[x & 4095]; }
static int second(int x) { return x * 3; }
static int third(int x) { note(x); return (int)rate(x, x); }
static int (*volatile steps[])(int) = {first, second, third};

int main(int argc, char **argv) {
  int v = argc;
  for (unsigned i = 0; i < sizeof steps / sizeof *steps; i++) v = steps[i](v);
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  printf("%d %s %ld %p %ls\n", v, argv[0], now.tv_nsec, uses[v % 30], wcschr(L"wide", L'd'));
  return (int)strlen(page);
}
