package proc_test

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/proc"
	"github.com/go-multiproc/multiproc/shm"
	psync "github.com/go-multiproc/multiproc/sync"
)

// register registers a function for type A, and returns what it panics with.
func register[A any]() (message string) {
	defer func() { message, _ = recover().(string) }()
	proc.RegisterTask("refused", func(context.Context, A) error { return nil })
	return ""
}

type step struct {
	Title string
	Done  chan int
}

type job struct {
	Steps map[string][]*step
}

func TestRegisterRefusesTypes(t *testing.T) {
	for what, tt := range map[string]struct {
		got  string
		path string
	}{
		"channel deep inside": {register[job](), "job.Steps[][].Done"},
		"channel":             {register[chan int](), "chan int"},
		"function":            {register[struct{ F func() }](), "F is"},
		"interface":           {register[struct{ Any any }](), "Any is"},
		"error":               {register[[]error](), "[]"},
		"unexported field":    {register[struct{ hidden []int }](), "hidden"},
		"lock of ours":        {register[struct{ L psync.Mutex }](), "L is"},
		"lock of std":         {register[struct{ L sync.Mutex }](), "L is"},
		"lock behind pointer": {register[struct{ L *psync.Mutex }](), "L is"},
		"array by value":      {register[struct{ A shm.Array[int32] }](), "*shm.Array[int32]"},
		"pointer as a key":    {register[map[*int]int](), "key"},
		"a process":           {register[*proc.Process](), "Process"},
	} {
		require.Contains(t, tt.got, `proc: Register "refused": the argument cannot travel: `, what)
		require.Contains(t, tt.got, tt.path, what)
	}
}

func TestRegisterRefusesResult(t *testing.T) {
	require.PanicsWithValue(t,
		`proc: Register "refused": the result cannot travel: struct { C chan bool }.C is a chan (chan bool): it means nothing in another process`,
		func() {
			proc.Register("refused", func(context.Context, int) (r struct{ C chan bool }, err error) { return r, nil })
		})
}

func TestRegisterTwice(t *testing.T) {
	require.PanicsWithValue(t, `proc: the function name "square" is registered twice`, func() {
		proc.RegisterTask("square", func(context.Context, string) error { return nil })
	})
}

func TestRegisterNeedsNameAndFunction(t *testing.T) {
	const message = "proc: Register needs a name and a function"
	require.PanicsWithValue(t, message, func() {
		proc.Register("", func(context.Context, int) (int, error) { return 0, nil })
	})
	require.PanicsWithValue(t, message, func() { proc.Register[int, int]("none", nil) })
	require.PanicsWithValue(t, message, func() {
		proc.RegisterTask("", func(context.Context, int) error { return nil })
	})
	require.PanicsWithValue(t, "proc: RegisterTask needs a name and a function", func() { proc.RegisterTask[int]("none", nil) })
}

func TestFuncName(t *testing.T) {
	require.Equal(t, "square", square.Name())
	require.Equal(t, "idle", idle.Name())
}
