// A program that does one thing after the other, as its arguments say.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern char **environ;

static int deep(int n) { return n == 0 ? 0 : deep(n - 1) + *(volatile int *)&n; }

static void copy(FILE *in, const char *name) {
  char line[100];
  if (in == NULL) {
    printf("%s: %s\n", name, strerror(errno));
    return;
  }
  while (fgets(line, sizeof line, in)) fputs(line, stdout);
}

int main(int argc, char **argv) {
  setvbuf(stdout, NULL, _IONBF, 0);
  for (int i = 1; i < argc; i++) {
    const char *verb = argv[i], *object = i + 1 < argc ? argv[i + 1] : "";
    if (!strcmp(verb, "args")) {
      for (int k = 0; k < argc; k++) printf("[%s]", argv[k]);
    } else if (!strcmp(verb, "env")) {
      for (char **e = environ; *e; e++) puts(*e);
    } else if (!strcmp(verb, "echo")) {
      copy(stdin, "stdin");
    } else if (!strcmp(verb, "complain")) {
      fputs("complaint", stderr);
    } else if (!strcmp(verb, "flood")) {
      while (puts("flood") >= 0) {}
      fputs("cannot write", stderr);
    } else if (!strcmp(verb, "loop")) {
      puts("ready");
      for (volatile int forever = 1; forever;) {}
    } else if (!strcmp(verb, "sleep")) {
      puts("ready");
      sleep(60);
    } else if (!strcmp(verb, "abort")) {
      abort();
    } else if (!strcmp(verb, "deep")) {
      printf("%d", deep(1 << 30));
    } else if (!strcmp(verb, "exit")) {
      exit(atoi(object));
    } else if (!strcmp(verb, "read")) {
      copy(fopen(object, "r"), object);
    } else if (!strcmp(verb, "write")) {
      FILE *f = fopen(object, "w");
      printf("%s: %s\n", object, f && fputs("written", f) >= 0 && fclose(f) == 0 ? "written" : strerror(errno));
    } else if (!strcmp(verb, "allocate")) {
      char *volatile memory = malloc(atoi(object)); // which the compiler would leave out
      puts(memory ? "allocated" : "no memory");
    }
  }
  return 0;
}
