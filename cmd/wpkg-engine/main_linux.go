package main

// #include <elf.h>
// #include <link.h>
// #include <stdlib.h>
// #include <string.h>
//
// // Go's main. It is weak, since a program that is linked without --wrap=main has
// // it under its own name, and nothing calls __wrap_main.
// int __real_main(int argc, char **argv) __attribute__((weak));
// int __wrap_main(int argc, char **argv);
//
// static char one[] = "GOMAXPROCS=1";
// int oneAdded; // whether Go got it from us
//
// // The engine waits for timers and sockets on as many threads as there are
// // processors, which it finds out in the file system. One is enough for a guest,
// // and is begun 0.2 ms sooner. Nothing but the engine reads this environment: Go has
// // its own.
// static void oneWaits(void) { setenv("TOKIO_WORKER_THREADS", "1", 0); }
//
// // What the kernel put on the stack lies in one piece, and Go's runtime reads it
// // as that: arguments, environment and auxiliary vector, each with its end. Go
// // gets a copy with one variable more, unless somebody has set that one.
// int __wrap_main(int argc, char **argv) {
//   oneWaits();
//   char **env = argv + argc + 1;
//   size_t variables = 0, entries = 0;
//   for (; env[variables]; variables++)
//     if (strncmp(env[variables], one, strlen("GOMAXPROCS=")) == 0) return __real_main(argc, argv);
//   ElfW(auxv_t) *aux = (ElfW(auxv_t) *)(env + variables + 1);
//   while (aux[entries++].a_type != AT_NULL) {
//   }
//   size_t before = (size_t)argc + 1 + variables;
//   char **copy = malloc((before + 2) * sizeof *copy + entries * sizeof *aux);
//   if (!copy) return __real_main(argc, argv);
//   memcpy(copy, argv, before * sizeof *copy);
//   copy[before] = one;
//   copy[before + 1] = NULL;
//   memcpy(copy + before + 2, aux, entries * sizeof *aux);
//   oneAdded = 1;
//   return __real_main(argc, copy);
// }
import "C"

import "os"

// All that takes time here is done by C, on one thread. Go's runtime starts threads
// for every processor before it comes to a line of ours, which is a tenth of the
// start of a command, unless GOMAXPROCS is 1; and only the environment tells it
// that early. The guest is not to inherit what its user did not set.
func init() {
	if C.oneAdded != 0 {
		os.Unsetenv("GOMAXPROCS")
	}
}
