package capability

import (
	"fmt"
	"strings"
	"testing"
)

// describe writes a meaning down as the table does.
func describe(m Meaning) string {
	switch {
	case !m.Known():
		return "unknown"
	case m.Depends():
		for name, r := range roleNames {
			if r == m.role {
				return name
			}
		}
	case len(m.Grants) == 0:
		return "-"
	}
	var parts []string
	for _, g := range m.Grants {
		s := string(g.ID)
		if len(g.Access) > 0 {
			s += ":" + strings.Join(g.Access, ",")
		}
		parts = append(parts, s)
	}
	return strings.Join(parts, "+")
}

// The names are those that real modules import, among them all kinds that the
// corpus has.
func TestLookup(t *testing.T) {
	tests := []struct{ module, name, want string }{
		{"wasi_snapshot_preview1", "fd_write", "@write"},
		{"wasi_unstable", "path_open", "@open"},
		{"wasi_snapshot_preview1", "path_unlink_file", "files-write:names"},
		{"wasi_snapshot_preview1", "environ_sizes_get", "environment"},
		{"wasi_snapshot_preview1", "sock_accept", "net-inbound:accept"},
		{"wasi_snapshot_preview1", "sock_connect", "net-outbound:connect"},
		{"wasi_snapshot_preview1", "sock_getaddrinfo", "net-resolve"},
		{"wasi_snapshot_preview1", "no_such_call", "unknown"},
		{"wasi", "thread-spawn", "threads"},
		{"wasix_32v1", "proc_fork", "process-spawn:fork"},
		{"wasix_64v1", "proc_exec", "process-spawn:exec"},
		{"wasix_32v1", "fd_read", "@read"},
		{"wasi_ephemeral_nn", "compute", "machine-learning"},
		{"wasi_ephemeral_crypto_symmetric", "symmetric_key_generate", "crypto"},
		{"wasi:filesystem/types@0.2.12", "[method]descriptor.write-via-stream", "files-write:contents"},
		{"wasi:filesystem/types@0.2.12", "[method]descriptor.open-at", "@open"},
		{"wasi:filesystem/types@0.3.0", "[async-lower][method]descriptor.stat-at", "files-read:metadata"},
		{"cm32p2|wasi:filesystem/types@0.2", "[method]descriptor.unlink-file-at", "files-write:names"},
		{"wasi:filesystem/types@0.2.12", "[resource-drop]descriptor", "-"},
		{"wasi:cli/stdout@0.2.0", "get-stdout", "stdio:stdout"},
		{"wasi:cli/environment@0.2.12", "get-arguments", "arguments"},
		{"wasi:cli/environment@0.2.12", "get-environment", "environment"},
		{"wasi:clocks/system-clock@0.3.0", "now", "clock"},
		{"wasi:clocks/monotonic-clock@0.2.10", "subscribe-duration", "poll"},
		{"wasi:sockets/types@0.3.0", "[method]tcp-socket.connect", "net-outbound:connect"},
		{"wasi:sockets/tcp@0.2.10", "[method]tcp-socket.start-listen", "net-inbound:listen"},
		{"wasi:sockets/ip-name-lookup@0.2.10", "resolve-addresses", "net-resolve"},
		{"wasi:http/outgoing-handler@0.2.10", "handle", "http-client"},
		{"wasi:http/client@0.3.0", "[async-lower]send", "http-client"},
		{"wasi:http/types@0.2.10", "[static]response-outparam.set", "http-server"},
		{"wasi:http/types@0.2.10", "[method]fields.get", "-"},
		{"wasi:keyvalue/store@0.2.0-draft", "[method]bucket.get", "key-value:read"},
		{"wasi:keyvalue/store@0.2.0-draft", "[method]bucket.delete", "key-value:write"},
		{"wasi:blobstore/container@0.2.0-draft", "[method]container.write-data", "blob-store:write"},
		{"wasi:messaging/producer@0.2.0-draft", "send", "messaging"},
		{"wasi:tls/client@0.2.0-draft", "[constructor]client-handshake", "crypto"},
		{"wasmcloud:secrets/store@0.1.0-draft", "get", "secrets"},
		{"wasmcloud:postgres/query@0.1.1-draft", "query", "database"},
		{"fermyon:spin/sqlite@2.0.0", "[method]connection.execute", "database"},
		{"fermyon:spin/redis@2.0.0", "[method]connection.publish", "messaging:publish"},
		{"fermyon:spin/key-value@2.0.0", "[method]store.get", "key-value:read"},
		{"spin:postgres/postgres@4.0.0", "[static]connection.open", "database"},
		{"extism:host/env", "http_request", "http-client"},
		{"extism:host/env", "var_set", "key-value:write"},
		{"extism:host/user", "anything", "unknown-host-call"},
		{"env", "proxy_http_call", "http-client"},
		{"env", "proxy_replace_header_map_value", "http-server:change"},
		{"wapc", "__host_call", "unknown-host-call:binding"},
		{"env", "opa_builtin2", "unknown-host-call:builtin"},
		{"fastly_http_req", "send_async_v2", "http-client"},
		{"fastly_http_req", "header_insert", "-"},
		{"fastly_secret_store", "open", "secrets"},
		{"fastly_kv_store", "delete_wait", "key-value:write"},
		{"gojs", "syscall/js.valueCall", "host-javascript:call"},
		{"go", "runtime.walltime", "clock"},
		{"wbg", "__wbg_fetch_6bbc32f991730587", "http-client"},
		{"wbg", "__wbg_localStorage_1406c99c39728187", "browser-storage"},
		{"wbg", "__wbg_getRandomValues_1c61fac11405ffdc", "random"},
		{"./app_bg.js", "__wbg_now_2c95c9de01293173", "clock"},
		{"__wbindgen_placeholder__", "__wbg_newnoargs_105ed471475aaf50", "dynamic-code"},
		{"__wbindgen_placeholder__", "__wbg_setTimeout_db2dbaeefb6f39c7", "poll"},
		{"./app_bg.js", "__wbg_somethingNobodyKnows_2c95c9de01293173", "host-javascript"},
		{"wbg", "__wbindgen_string_new", "-"},
		{"wbg", "__wbg_deviceid_new", "-"},
		{"env", "__syscall_openat", "@open"},
		{"env", "__syscall_connect", "net-outbound:connect"},
		{"env", "emscripten_run_script", "dynamic-code:eval"},
		{"env", "emscripten_asm_const_int", "host-javascript"},
		{"env", "_dlopen_js", "dynamic-code"},
		{"env", "invoke_viii", "-"},
		{"env", "glDrawArrays", "gpu"},
		{"env", "abort", "exit"},
		{"env", "seed", "random"},
		{"env", "napi_call_function", "host-javascript:call"},
		{"env", "no_such_call", "unknown"},
		{"js_code", "kotlin.captureStackTrace", "host-javascript"},
		{"dart2wasm", "_12", "host-javascript"},
		{"webcil", "getWebcilSize", "-"},
		{"rb-js-abi-host", "eval-js: func(code: string) -> variant { success(handle<js-abi-value>) }", "dynamic-code"},
		{"[export]wasi:http/incoming-handler@0.2.0", "[task-return]handle", "-"},
		{"$root", "[subtask-drop]", "-"},
		{"somebody:else/entirely@1.0.0", "call", "unknown"},
	}
	for _, tt := range tests {
		t.Run(tt.module+" "+tt.name, func(t *testing.T) {
			if got := describe(Lookup(tt.module, tt.name)); got != tt.want {
				t.Errorf("Lookup(%q, %q) = %s; want %s", tt.module, tt.name, got, tt.want)
			}
		})
	}
}

func TestParseTableRefuses(t *testing.T) {
	tests := []struct{ name, in string }{
		{"a line before the first module", "host X\n  clock now\n"},
		{"a line without names", "host X\nmodule m\n  clock\n"},
		{"an unknown capability", "host X\nmodule m\n  telepathy now\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := parseTable(tt.in); err == nil {
				t.Errorf("parseTable(%q) = %v, nil; want an error", tt.in, got)
			}
		})
	}
}

// A line whose names are all decided by earlier lines is a mistake.
func TestEveryLineOfTheTableDecides(t *testing.T) {
	for _, d := range loaded().doc {
		for _, name := range d.names {
			module := strings.ReplaceAll(d.modules[0], "*", "x")
			m, ok := loaded().lookup(module, strings.ReplaceAll(name, "*", "\x00"))
			if got, want := fmt.Sprint(describe(m)), describe(d.meaning); !ok || got != want {
				t.Errorf("lookup(%q, %q) = %s, %t; its line says %s", module, name, got, ok, want)
			}
		}
	}
}

func TestInfosAreInOrderAndComplete(t *testing.T) {
	for _, info := range All() {
		if info.Title == "" || info.Meaning == "" || Describe(info.ID) != info {
			t.Errorf("Describe(%q) = %+v; want %+v with a title and a meaning", info.ID, Describe(info.ID), info)
		}
	}
	if got := Describe("telepathy"); got != (Info{ID: "telepathy"}) {
		t.Errorf("Describe(telepathy) = %+v; want the ID alone", got)
	}
}
