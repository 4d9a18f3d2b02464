// A filter for proxies. OLD makes it one of an earlier ABI, CALLS lets it send
// requests of its own, TYPED gives a function of the ABI another type.
#define HOST(name) __attribute__((import_module("env"), import_name(#name)))
#define EXPORT(name) __attribute__((export_name(#name)))

HOST(proxy_log) int proxy_log(int level, const char *text, int size);
HOST(proxy_http_call)
int proxy_http_call(int, int, int, int, int, int, int, int, int, int);

#ifdef OLD
EXPORT(proxy_abi_version_0_1_0) void version(void) {}
#else
EXPORT(proxy_abi_version_0_2_1) void version(void) {}
#endif

static char heap[1024];

EXPORT(proxy_on_memory_allocate) char *allocate(int size) { return size <= 1024 ? heap : 0; }
EXPORT(proxy_on_context_create) void create(int context, int parent) {}

#ifdef TYPED
EXPORT(proxy_on_request_headers) int headers(int context, int count) {
#else
EXPORT(proxy_on_request_headers) int headers(int context, int count, int end) {
#endif
#ifdef CALLS
	proxy_http_call(0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
#endif
	return proxy_log(2, "request", 7);
}
