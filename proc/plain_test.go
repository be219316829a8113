package proc_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/proc"
)

// plainly registers a function that returns its argument, unless it is a third one.
func plainly[T comparable](name string) *proc.Func[T, T] {
	count := 0
	return proc.Register("plainly "+name, func(_ context.Context, v T) (T, error) {
		if count++; count%3 == 0 {
			return v, errors.New("the third one")
		}
		return v, nil
	})
}

var (
	plainByte   = plainly[byte]("byte")
	plainOdd    = plainly[[3]byte]("odd")
	plainStruct = plainly[struct{ A, b int32 }]("struct")
	plainEmpty  = plainly[struct{}]("empty")
	plainLarge  = plainly[[20000]byte]("large")
)

// Values that are nothing but bytes travel in bulk, until one of a chunk fails.
func TestMapOfPlainTypes(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, &proc.PoolOptions{Workers: 1})
	mapsPlain(t, p, plainByte, 3000, func(i int) byte { return byte(i) })
	mapsPlain(t, p, plainOdd, 3000, func(i int) [3]byte { return [3]byte{byte(i), byte(i >> 8), 1} })
	mapsPlain(t, p, plainStruct, 3000, func(i int) struct{ A, b int32 } { return struct{ A, b int32 }{int32(i), 1} })
	mapsPlain(t, p, plainEmpty, 3000, func(int) (none struct{}) { return none })
	mapsPlain(t, p, plainLarge, 30, func(i int) [20000]byte { return [20000]byte{byte(i), 19999: 1} })
}

func mapsPlain[T comparable](t *testing.T, p *proc.Pool, f *proc.Func[T, T], n int, make func(i int) T) {
	t.Helper()
	in := []T{}
	for i := range n {
		in = append(in, make(i))
	}
	for _, chunk := range []int{0, 1, 100} {
		out, err := f.Map(t.Context(), p, in, &proc.MapOptions{Chunk: chunk, KeepGoing: true})
		var failed proc.TaskErrors
		require.ErrorAs(t, err, &failed)
		require.Len(t, failed, n/3)
		for i, v := range out {
			if failed.At(i) == nil {
				require.Equal(t, in[i], v)
			} else {
				require.ErrorContains(t, failed.At(i), "the third one")
				require.Zero(t, v)
			}
		}
	}
}
