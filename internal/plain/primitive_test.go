package plain_test

import (
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/plain"
	psync "github.com/go-multiproc/multiproc/sync"
)

type guarded struct {
	N  int64
	Mu [2]psync.Mutex
}

// The primitives lie in shared memory as they are, and are found there.
func TestRealPrimitives(t *testing.T) {
	for typ, want := range map[reflect.Type]string{
		reflect.TypeFor[psync.Mutex]():          "Mutex",
		reflect.TypeFor[psync.RMutex]():         "RMutex",
		reflect.TypeFor[guarded]():              "guarded.Mu[]",
		reflect.TypeFor[psync.OwnerDiedError](): "",
	} {
		require.NoError(t, plain.Check(typ))
		require.Equal(t, want, plain.Primitive(typ))
		require.Equal(t, want, plain.Primitive(typ), "again, from the cache")
	}
}
