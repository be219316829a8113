package proc_test

import (
	"context"
	"encoding/hex"
	"math"
	"math/big"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/internal/wire"
	"github.com/go-multiproc/multiproc/proc"
)

// echo registers a function that returns what it is given.
func echo[T any](name string) *proc.Func[T, T] {
	return proc.Register("echo "+name, func(_ context.Context, v T) (T, error) { return v, nil })
}

type point struct {
	X, Y int32
	Mark [3]bool
	Z    complex128
}

type tree struct {
	Name  string
	Kids  []*tree
	Attrs map[string][]float64
	Born  time.Time
	Key   [4]byte
	Big   *big.Int
	Count *int
}

// A secret has nothing that encoders see, and encodes itself.
type secret struct{ text string }

func (s secret) MarshalBinary() ([]byte, error) {
	return []byte(hex.EncodeToString([]byte(s.text))), nil
}

func (s *secret) UnmarshalBinary(b []byte) error {
	text, err := hex.DecodeString(string(b))
	s.text = string(text)
	return err
}

var (
	echoInt     = echo[int]("int")
	echoPoint   = echo[point]("plain struct")
	echoString  = echo[string]("string")
	echoInts    = echo[[]int32]("slice")
	echoStrings = echo[[]string]("slice of strings")
	echoMap     = echo[map[string][]int]("map")
	echoTree    = echo[*tree]("pointers")
	echoSecret  = echo[secret]("marshaler")
	echoNothing = echo[struct{}]("nothing")
	echoFloats  = echo[[]float64]("floats")
)

func comesBack[T any](t *testing.T, f *proc.Func[T, T], values ...T) {
	t.Run(f.Name(), func(t *testing.T) {
		for _, v := range values {
			require.Equal(t, v, result(t, f, v))
		}
	})
}

func TestArgumentComesBackEqual(t *testing.T) {
	proctest.NoLeaks(t)
	n := 7
	comesBack(t, echoInt, math.MinInt)
	comesBack(t, echoPoint, point{X: 1, Y: -2, Mark: [3]bool{true, false, true}, Z: 3i})
	comesBack(t, echoString, "", "Grüße\x00\xff\xfe")
	comesBack(t, echoInts, nil, []int32{}, []int32{1, -2, math.MaxInt32})
	comesBack(t, echoStrings, nil, []string{}, []string{"a", "", "\xff"})
	comesBack(t, echoMap, nil, map[string][]int{}, map[string][]int{"a": {1, 2}, "b": nil, "c": {}})
	comesBack(t, echoTree, nil, &tree{
		Name: "root",
		Kids: []*tree{{Name: "kid", Attrs: map[string][]float64{"x": {1.5, math.Inf(1)}}}, nil},
		Born: time.Date(1990, 11, 1, 2, 3, 4, 5, time.UTC),
		Key:  [4]byte{1, 2, 3, 4},
		Big:  new(big.Int).Lsh(big.NewInt(1), 200), Count: &n,
	})
	comesBack(t, echoSecret, secret{"hidden"})
	comesBack(t, echoNothing, struct{}{})
}

func TestArgumentNaN(t *testing.T) {
	proctest.NoLeaks(t)
	got := result(t, echoFloats, []float64{math.NaN(), math.Copysign(0, -1)})
	require.True(t, math.IsNaN(got[0]))
	require.True(t, math.Signbit(got[1]))
}

// The child has a copy: what it does to its argument is its own affair.
//
// Python: _TestProcess.test_args_argument — differs: a function has one argument, of any type
func TestArgumentIsACopy(t *testing.T) {
	proctest.NoLeaks(t)
	mine := []int{1, 2, 3}
	require.Equal(t, []int{2, 4, 6}, result(t, double, mine))
	require.Equal(t, []int{1, 2, 3}, mine)
}

var double = proc.Register("double", func(_ context.Context, v []int) ([]int, error) {
	for i := range v {
		v[i] *= 2
	}
	return v, nil
})

type ring struct{ Next *ring }

var follow = proc.RegisterTask("follow", func(context.Context, *ring) error { return nil })

var bite = proc.Register("bite", func(context.Context, struct{}) (*ring, error) {
	r := &ring{}
	r.Next = r
	return r, nil
})

func TestCyclicArgument(t *testing.T) {
	proctest.NoLeaks(t)
	r := &ring{}
	r.Next = r
	_, err := follow.Start(t.Context(), r, nil)
	require.ErrorIs(t, err, wire.ErrDepth)
	require.ErrorContains(t, err, "proc: start follow: encode the argument: ")
	require.Empty(t, proc.Children())
}

func TestCyclicResult(t *testing.T) {
	proctest.NoLeaks(t)
	c := start(t, bite, struct{}{}, nil)
	_, err := c.Result(t.Context())
	var remote *proc.RemoteError
	require.ErrorAs(t, err, &remote)
	require.Contains(t, remote.Text, "encode the result of bite: ")
	require.Contains(t, remote.Text, "cyclic")
	require.Equal(t, 1, exitCode(t, c.Process))
}

var giveBomb = proc.Register("give a bomb", func(_ context.Context, fuse string) (bomb, error) { return bomb{fuse}, nil })

// A result that panics does so each time, and leaves nothing behind.
func TestResultPanicsAgain(t *testing.T) {
	proctest.NoLeaks(t)
	c := start(t, giveBomb, "decode", nil)
	for range 3 {
		require.PanicsWithValue(t, "while decoding", func() { _, _ = c.Result(t.Context()) })
	}
	require.NoError(t, c.Close())
}

// crowded has so many descriptors on their way that an ordinary user may send no
// others.
var crowded = proc.Register("crowded", func(context.Context, proc.None) (*proc.File, error) {
	_ = syscall.Setuid(12345) // an ordinary user cannot, and need not
	most := 64
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(most), Max: uint64(most)}); err != nil {
		return nil, err
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	for sent := 0; sent <= most; sent++ {
		if err := unix.Sendmsg(pair[0], []byte("x"), unix.UnixRights(0), nil, 0); err != nil {
			break
		}
	}
	return &proc.File{File: os.Stdin}, nil
})

// The parent learns why a result has not come.
func TestResultThatCannotBeSent(t *testing.T) {
	proctest.NoLeaks(t)
	c := start(t, crowded, proc.None{}, nil)
	_, err := c.Result(t.Context())
	var remote *proc.RemoteError
	require.ErrorAs(t, err, &remote)
	require.ErrorIs(t, err, syscall.ETOOMANYREFS)
	require.ErrorContains(t, err, "send the result: ")
	require.Equal(t, 1, exitCode(t, c.Process))
}
