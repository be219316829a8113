package chunk

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestRecords(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		type one struct {
			kind Kind
			data []byte
		}
		var all []one
		var b []byte
		n := rapid.IntRange(0, 20).Draw(rt, "records")
		for i := range n {
			r := one{Kind(rapid.IntRange(0, int(Failure)).Draw(rt, "kind")), rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(rt, "data")}
			before := len(b)
			fits := Fits(before, len(r.data), n-i-1)
			b = Append(b, r.kind, r.data)
			require.Equal(rt, before+RecordSize(len(r.data)), len(b))
			require.True(rt, fits)
			all = append(all, r)
		}
		for _, want := range all {
			kind, data, rest, err := Next(b)
			require.NoError(rt, err)
			require.Equal(rt, want.kind, kind)
			require.Equal(rt, string(want.data), string(data))
			require.Equal(rt, len(data), cap(data), "appending to it would change the next one")
			b = rest
		}
		_, _, _, err := Next(b)
		require.ErrorIs(rt, err, ErrCorrupt)
	})
}

// What fits, fits: with as many heads behind it as it was promised.
func TestFits(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		used, after := 8*rapid.IntRange(0, Room/8).Draw(rt, "used"), rapid.IntRange(0, MaxItems).Draw(rt, "after")
		length := rapid.IntRange(0, Room+10).Draw(rt, "length")
		size := used + len(Append(nil, Value, make([]byte, length))) + after*len(Append(nil, Failure, nil))
		require.Equal(rt, size <= Room, Fits(used, length, after))
	})
	// Even a full chunk has room for the heads of all.
	require.True(t, Fits(0, 0, MaxItems-1))
}

func FuzzNext(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 1})
	f.Add([]byte{3, 0, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{0, 0, 0, 0, 3, 0, 0, 0, 'a', 'b', 'c'})
	f.Add(Append(Append(nil, Value, []byte("abc")), Failure, []byte("12345678")))
	f.Fuzz(func(t *testing.T, b []byte) {
		for {
			kind, data, rest, err := Next(b)
			if err != nil {
				require.ErrorIs(t, err, ErrCorrupt)
				return
			}
			require.LessOrEqual(t, kind, FailureElsewhere)
			require.LessOrEqual(t, recordHead+len(data)+len(rest), len(b))
			b = rest
		}
	})
}
