// A command of WASI preview 1. SOCKET lets it use a socket, as some hosts offer,
// UNSTABLE takes the functions of the snapshot before, REACTOR leaves out _start.
#ifdef UNSTABLE
#define HOST(name) __attribute__((import_module("wasi_unstable"), import_name(#name)))
#else
#define HOST(name) __attribute__((import_module("wasi_snapshot_preview1"), import_name(#name)))
#endif

typedef struct { const char *text; int size; } iovec;
HOST(fd_write) int fd_write(int fd, const iovec *list, int count, int *written);
HOST(proc_exit) _Noreturn void proc_exit(int status);
HOST(sock_open) int sock_open(int family, int type, int *fd);
HOST(sock_connect) int sock_connect(int fd, const void *address, int port);

#ifdef REACTOR
__attribute__((export_name("_initialize"))) void start(void) {
#else
__attribute__((export_name("_start"))) void start(void) {
#endif
	iovec hello = {"hello\n", 6};
	int n;
#ifdef SOCKET
	sock_open(0, 1, &n);
	sock_connect(n, "\x7f\0\0\1", 80);
#endif
	proc_exit(fd_write(1, &hello, 1, &n));
}
