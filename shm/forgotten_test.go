package shm

import (
	"context"
	"log"
	"log/slog"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
)

// A recorder is a slog handler that passes on the names in warnings of ours.
type recorder chan string

func (recorder) Enabled(context.Context, slog.Level) bool { return true }
func (r recorder) WithAttrs([]slog.Attr) slog.Handler     { return r }
func (r recorder) WithGroup(string) slog.Handler          { return r }

func (r recorder) Handle(_ context.Context, record slog.Record) error {
	if record.Level == slog.LevelWarn && record.Message == "shm: a shared object was forgotten without Close or Detach: its memory stays mapped" {
		record.Attrs(func(a slog.Attr) bool {
			r <- a.Key + "=" + a.Value.String()
			return true
		})
	}
	return nil
}

// record makes a recorder the default of slog until the end of the test.
func record(t *testing.T) recorder {
	r := make(recorder, 100)
	logger, output, flags := slog.Default(), log.Writer(), log.Flags()
	slog.SetDefault(slog.New(r))
	t.Cleanup(func() {
		slog.SetDefault(logger)
		log.SetOutput(output) // which SetDefault had changed
		log.SetFlags(flags)
	})
	return r
}

// next returns the next warning, which comes after some collection, or "".
func (r recorder) next() string {
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); {
		runtime.GC()
		select {
		case name := <-r:
			return name
		default:
			runtime.Gosched()
		}
	}
	return ""
}

// forget makes an object and loses it. What it returns keeps the memory mapped,
// and is for the test's own clean-up.
func forget(t *testing.T, name string, value bool) *mapping {
	opts := &Options{Name: name}
	if value {
		v, err := NewValue(1, opts)
		require.NoError(t, err)
		return v.mapping
	}
	a, err := NewArray[int](1, opts)
	require.NoError(t, err)
	return a.mapping
}

func TestForgottenCloseIsReported(t *testing.T) {
	proctest.NoLeaks(t)
	warnings := record(t)
	closed, err := NewArray[int](1, &Options{Name: "closed"})
	require.NoError(t, err)
	require.NoError(t, closed.Close())
	received := roundTrip(t, testArray[int](t, nil, 1)) // is closed by its process's end
	keep := received.mapping

	for _, name := range []string{"an-array", "a-value", "another-array"} {
		m := forget(t, name, name == "a-value")
		require.Equal(t, "name="+name, warnings.next(), "and nothing about the closed or the received one")
		require.Equal(t, 1, mapped(t, name), "nothing is unmapped behind somebody's back")
		require.NoError(t, m.release())
	}
	require.NoError(t, keep.release())
}

// A view does not keep an array from being reported, and stays good.
func TestForgottenWithView(t *testing.T) {
	proctest.NoLeaks(t)
	warnings := record(t)
	a, err := ArrayOf([]int{1, 2}, &Options{Name: "viewed"})
	require.NoError(t, err)
	view, m := a.View(), a.mapping
	require.Equal(t, "name=viewed", warnings.next())
	view[0]++
	require.Equal(t, []int{2, 2}, view)
	require.NoError(t, m.release())
}
