//go:build cgo && (linux || darwin)

package engine

// #include "capi.h"
// #include <signal.h>
//
// // native gives a signal its default action, unless who started us ignores it.
// static void native(int sig) {
//   struct sigaction now;
//   if (sigaction(sig, NULL, &now) == 0 && now.sa_handler != SIG_IGN) signal(sig, SIG_DFL);
// }
import "C"

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"github.com/wreg-project/wreg/artifact/aot/wasmtime/wire"
)

// Errors of runs, beside those of loading.
var (
	ErrEntry   = errors.New("there is nothing to call")
	ErrImport  = errors.New("it needs what is not there")
	ErrGrant   = errors.New("cannot be granted")
	ErrMemory  = errors.New("more memory than it may have")
	ErrTimeout = errors.New("time limit reached")
	ErrStatus  = errors.New("it ended with a status above 125, which wasmtime does not pass on")
)

// Trap is the end of a guest that did something impossible. Text has wasmtime's
// reason, and where in the guest it happened.
type Trap struct{ Text string }

func (t *Trap) Error() string { return t.Text }

// The guest's memories, tables and instances, where MaxMemory is set. A module
// of several memories is rare; a component has one for each module in it.
const (
	modulesMemories    = 1
	componentsMemories = 32
	pointer            = 8 // bytes of an element of a table
)

// NativeSignals lets SIGINT, SIGTERM, SIGHUP, SIGQUIT and SIGPIPE do to this
// process what they do to one without Go in it: interrupted, or with nobody who
// reads its output, a guest ends at once and by the signal. It is for the
// process, not for a Code.
func NativeSignals() {
	for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGPIPE} {
		C.native(C.int(s))
	}
}

// Run runs a command: the _start of a module, the wasi:cli/run of a component,
// of any version 0.2.x. It reads and writes standard input, output and error of
// this process. It returns the exit status of the guest, of which a component has
// only 0 and 1. Where there is none, the error is a *[Trap], ErrTimeout, ErrStatus, or
// of a guest that was never started: ErrEntry, ErrImport, ErrGrant, ErrMemory.
//
// The time limit stops a guest that computes. One that sleeps or waits for input
// is beyond reach: after ErrTimeout's time, end the process.
func (c *Code) Run(s *wire.Spec) (int, error) {
	st, err := c.open(s, s.Args)
	if err != nil {
		return 0, err
	}
	defer st.close()
	if c.component != nil {
		return st.runComponent()
	}
	return st.runModule()
}

// store is one instance of a guest with what it may do.
type store struct {
	code  *Code
	c     *C.wasmtime_store_t
	ctx   *C.wasmtime_context_t
	timer *time.Timer
	late  atomic.Bool // the time limit was reached

	linker          *C.wasmtime_linker_t           // nil before its instance is made, or if that is a component
	componentLinker *C.wasmtime_component_linker_t // nil likewise
}

func (c *Code) open(s *wire.Spec, args []string) (*store, error) {
	wasi, err := grants(s, args)
	if err != nil {
		return nil, err
	}
	st := &store{code: c, c: C.wasmtime_store_new(c.e.c, nil, nil)}
	st.ctx = C.wasmtime_store_context(st.c)
	if err := failure(C.wasmtime_context_set_wasi(st.ctx, wasi)); err != nil { // takes wasi
		C.wasmtime_store_delete(st.c)
		return nil, fmt.Errorf("WASI: %s", causes(err))
	}
	if s.MaxMemory > 0 {
		memories := C.int64_t(modulesMemories)
		if c.component != nil {
			memories = componentsMemories
		}
		C.wasmtime_store_limiter(st.c, C.int64_t(s.MaxMemory), C.int64_t(s.MaxMemory/pointer), -1, -1, memories)
	}
	C.wasmtime_context_set_epoch_deadline(st.ctx, 1)
	if s.TimeoutMS > 0 {
		st.timer = time.AfterFunc(time.Duration(s.TimeoutMS)*time.Millisecond, func() {
			st.late.Store(true)
			C.wasmtime_engine_increment_epoch(c.e.c)
		})
	}
	return st, nil
}

func (st *store) close() {
	if st.timer != nil {
		st.timer.Stop()
	}
	if st.code.e.leave {
		return
	}
	if st.linker != nil {
		C.wasmtime_linker_delete(st.linker)
	}
	if st.componentLinker != nil {
		C.wasmtime_component_linker_delete(st.componentLinker)
	}
	C.wasmtime_store_delete(st.c)
}

// grants is what the guest sees of the world.
func grants(s *wire.Spec, args []string) (*C.wasi_config_t, error) {
	if s.Net {
		return nil, fmt.Errorf("network: %w: wasmtime %s offers it only to programs in Rust; run the package with `wasmtime run -S inherit-network`",
			ErrGrant, Version)
	}
	env := s.Env
	for _, name := range s.InheritEnv {
		if value, set := os.LookupEnv(name); set {
			env = append(env[:len(env):len(env)], [2]string{name, value})
		}
	}
	if err := textual(args, env, s.Dirs); err != nil {
		return nil, err
	}
	var a arena
	defer a.free()
	wasi := C.wasi_config_new()
	C.wasi_config_inherit_stdin(wasi)
	C.wasi_config_inherit_stdout(wasi)
	C.wasi_config_inherit_stderr(wasi)
	names, values := make([]string, len(env)), make([]string, len(env))
	for i, e := range env {
		names[i], values[i] = e[0], e[1]
	}
	if !C.wasi_config_set_argv(wasi, C.size_t(len(args)), a.list(args)) {
		C.wasi_config_delete(wasi)
		return nil, fmt.Errorf("arguments: %w: they are not UTF-8", ErrGrant)
	}
	if !C.wasi_config_set_env(wasi, C.size_t(len(env)), a.list(names), a.list(values)) {
		C.wasi_config_delete(wasi)
		return nil, fmt.Errorf("environment: %w: it is not UTF-8", ErrGrant)
	}
	for _, d := range s.Dirs {
		if !preopen(wasi, &a, d) {
			C.wasi_config_delete(wasi)
			return nil, notOpened(d)
		}
	}
	return wasi, nil
}

// textual refuses what C would cut short.
func textual(args []string, env [][2]string, dirs []wire.Dir) error {
	for _, s := range args {
		if strings.ContainsRune(s, 0) {
			return fmt.Errorf("argument %q: %w", s, ErrGrant)
		}
	}
	for _, e := range env {
		if e[0] == "" || strings.ContainsAny(e[0], "=\x00") || strings.ContainsRune(e[1], 0) {
			return fmt.Errorf("environment variable %q: %w", e[0], ErrGrant)
		}
	}
	for _, d := range dirs {
		if strings.ContainsRune(d.Host+d.Guest, 0) {
			return fmt.Errorf("folder %q: %w", d.Host, ErrGrant)
		}
	}
	return nil
}

func preopen(wasi *C.wasi_config_t, a *arena, d wire.Dir) bool {
	dirs, files := C.size_t(C.WASMTIME_WASI_DIR_PERMS_READ), C.size_t(C.WASMTIME_WASI_FILE_PERMS_READ)
	if !d.ReadOnly {
		dirs |= C.WASMTIME_WASI_DIR_PERMS_WRITE
		files |= C.WASMTIME_WASI_FILE_PERMS_WRITE
	}
	return bool(C.wasi_config_preopen_dir(wasi, a.str(d.Host), a.str(d.Guest), dirs, files))
}

// notOpened finds out why a folder could not be opened.
func notOpened(d wire.Dir) error {
	f, err := os.Open(d.Host)
	if err != nil {
		return fmt.Errorf("folder %w: %w", ErrGrant, err)
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && !info.IsDir() {
		return fmt.Errorf("folder %s: %w: it is a file; grant the folder that it lies in", d.Host, ErrGrant)
	}
	return fmt.Errorf("folder %s, for the guest %q: %w", d.Host, d.Guest, ErrGrant)
}

func (st *store) runModule() (int, error) {
	instance, err := st.instantiate()
	if err != nil {
		return status(err)
	}
	f, found := st.function(&instance, "_start")
	if !found {
		return 0, fmt.Errorf("%w: it has no _start, so it is a library and not a program; %s", ErrEntry, st.callable(&instance))
	}
	return status(st.call(&f, nil, nil))
}

// exit is the end that a guest chose, by its status.
type exit int

func (e exit) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// status is the exit status of a guest that ended with an error, or with nil.
func status(err error) (int, error) {
	if e, ok := errors.AsType[exit](err); ok {
		return int(e), nil
	}
	return 0, err
}

// instantiate instantiates a module with WASI.
func (st *store) instantiate() (C.wasmtime_instance_t, error) {
	var instance C.wasmtime_instance_t
	st.linker = C.wasmtime_linker_new(st.code.e.c)
	if err := failure(C.wasmtime_linker_define_wasi(st.linker)); err != nil {
		return instance, fmt.Errorf("WASI: %s", causes(err))
	}
	var trap *C.wasm_trap_t
	err := C.wasmtime_linker_instantiate(st.linker, st.ctx, st.code.module, &instance, &trap)
	return instance, st.ended(err, trap)
}

func (st *store) function(instance *C.wasmtime_instance_t, name string) (C.wasmtime_func_t, bool) {
	var names arena
	defer names.free()
	var item C.wasmtime_extern_t
	if !C.wasmtime_instance_export_get(st.ctx, instance, names.str(name), C.size_t(len(name)), &item) {
		return C.wasmtime_func_t{}, false
	}
	defer C.wasmtime_extern_delete(&item)
	return *(*C.wasmtime_func_t)(unsafe.Pointer(&item.of)), item.kind == C.WASMTIME_EXTERN_FUNC
}

func (st *store) call(f *C.wasmtime_func_t, args, results []C.wasmtime_val_t) error {
	var trap *C.wasm_trap_t
	err := C.wasmtime_func_call(st.ctx, f, unsafe.SliceData(args), C.size_t(len(args)), unsafe.SliceData(results), C.size_t(len(results)), &trap)
	return st.ended(err, trap)
}

// ended is the error of a call that returned one of both, or none. It frees them.
func (st *store) ended(c *C.wasmtime_error_t, trap *C.wasm_trap_t) error {
	if trap != nil {
		defer C.wasm_trap_delete(trap)
		var text C.wasm_byte_vec_t
		C.wasm_trap_message(trap, &text)
		return st.trapped(message(&text))
	}
	if c == nil {
		return nil
	}
	var code C.int
	if C.wasmtime_error_exit_status(c, &code) {
		C.wasmtime_error_delete(c)
		return exit(code)
	}
	return st.trapped(failure(c))
}

// trapped says what an error of an instance is: those of its start, and those of
// its end.
func (st *store) trapped(err error) error {
	text := err.Error()
	switch {
	case st.late.Load():
		return ErrTimeout
	case strings.HasSuffix(text, "exit with invalid exit status outside of [0..126)"):
		return ErrStatus
	case strings.HasPrefix(text, "error while executing at wasm backtrace:"), strings.Contains(text, "wasm trap: "):
		return &Trap{Text: text}
	case strings.Contains(text, "`wasi:http/"):
		return serving(causes(err))
	case strings.Contains(text, "unknown import"), strings.Contains(text, "was not found in the linker"),
		strings.Contains(text, "incompatible import type"):
		return fmt.Errorf("%w: %s", ErrImport, causes(err))
	case strings.Contains(text, "exceeds memory limits"), strings.Contains(text, "resource limit exceeded"),
		strings.Contains(text, "exceeds table limits"):
		return fmt.Errorf("%w: %s", ErrMemory, causes(err))
	}
	return &Trap{Text: text}
}

// serving is the error of a component of wasi:http.
func serving(why string) error {
	return fmt.Errorf("%w: wasmtime %s has wasi:http only for programs in Rust; run the package with wasmtime serve, Spin or wasmCloud (%s)",
		ErrImport, Version, why)
}

// lastMinor is the greatest N of interfaces 0.2.N that is looked for.
const lastMinor = 63

// export is the index of an export of an instance within a component, of any
// version 0.2.x; nil if there is none. Free it.
func (st *store) export(instance, name string) *C.wasmtime_component_export_index_t {
	for minor := range lastMinor + 1 {
		outer := st.index(nil, fmt.Sprintf("%s@0.2.%d", instance, minor))
		if outer == nil {
			continue
		}
		defer C.wasmtime_component_export_index_delete(outer)
		return st.index(outer, name)
	}
	return nil
}

func (st *store) index(within *C.wasmtime_component_export_index_t, name string) *C.wasmtime_component_export_index_t {
	var names arena
	defer names.free()
	return C.wasmtime_component_get_export_index(st.code.component, within, names.str(name), C.size_t(len(name)))
}

func (st *store) runComponent() (int, error) {
	run := st.export("wasi:cli/run", "run")
	if run == nil {
		if handle := st.export("wasi:http/incoming-handler", "handle"); handle != nil {
			C.wasmtime_component_export_index_delete(handle)
			return 0, serving("it exports wasi:http/incoming-handler")
		}
		return 0, fmt.Errorf("%w: the component exports no wasi:cli/run@0.2.x, so it is a library and not a program", ErrEntry)
	}
	defer C.wasmtime_component_export_index_delete(run)
	f, err := st.componentFunction(run)
	if err != nil {
		return status(err)
	}
	result := make([]C.wasmtime_component_val_t, 1)
	if err := st.componentCall(&f, nil, result); err != nil {
		return status(err)
	}
	defer C.wasmtime_component_val_delete(&result[0])
	if result[0].kind == C.WASMTIME_COMPONENT_RESULT && *(*bool)(unsafe.Pointer(&result[0].of)) {
		return 0, nil
	}
	return 1, nil
}

// componentFunction instantiates the component and finds a function in it.
func (st *store) componentFunction(export *C.wasmtime_component_export_index_t) (C.wasmtime_component_func_t, error) {
	var f C.wasmtime_component_func_t
	st.componentLinker = C.wasmtime_component_linker_new(st.code.e.c)
	if err := failure(C.wasmtime_component_linker_add_wasip2(st.componentLinker)); err != nil {
		return f, fmt.Errorf("WASI: %s", causes(err))
	}
	var instance C.wasmtime_component_instance_t
	if err := st.ended(C.wasmtime_component_linker_instantiate(st.componentLinker, st.ctx, st.code.component, &instance), nil); err != nil {
		return f, err
	}
	if !C.wasmtime_component_instance_get_func(&instance, st.ctx, export, &f) {
		return f, fmt.Errorf("%w: the export is not a function", ErrEntry)
	}
	return f, nil
}

func (st *store) componentCall(f *C.wasmtime_component_func_t, args, results []C.wasmtime_component_val_t) error {
	err := C.wasmtime_component_func_call(f, st.ctx, unsafe.SliceData(args), C.size_t(len(args)), unsafe.SliceData(results), C.size_t(len(results)))
	if err != nil {
		return st.ended(err, nil)
	}
	return st.ended(C.wasmtime_component_func_post_return(f, st.ctx), nil)
}

// callable names the functions that a module exports.
func (st *store) callable(instance *C.wasmtime_instance_t) string {
	const most = 10
	var names []string
	for i := C.size_t(0); len(names) <= most; i++ {
		var name *C.char
		var size C.size_t
		var item C.wasmtime_extern_t
		if !C.wasmtime_instance_export_nth(st.ctx, instance, i, &name, &size, &item) {
			break
		}
		if item.kind == C.WASMTIME_EXTERN_FUNC {
			names = append(names, C.GoStringN(name, C.int(size)))
		}
		C.wasmtime_extern_delete(&item)
	}
	switch {
	case len(names) == 0:
		return "it exports no function at all"
	case len(names) > most:
		names[most] = "…"
	}
	return "--invoke calls one of its functions: " + strings.Join(names, ", ")
}
