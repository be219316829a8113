package shm

import (
	"log/slog"
	"runtime"
)

// watchForgotten reports an object that becomes unreachable without Close. It
// does not close it: a view may still be in use, and the collector does not see
// views.
func watchForgotten[T any](object *T, m *mapping) runtime.Cleanup {
	return runtime.AddCleanup(object, func(name string) {
		slog.Warn("shm: a shared object was forgotten without Close or Detach: its memory stays mapped", "name", name)
	}, m.file.Name())
}
