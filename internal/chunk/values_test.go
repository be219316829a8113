package chunk

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// Values takes what Next would take one by one, up to the first record that is
// no Value or makes no sense.
func TestValues(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var b []byte
		for range rapid.IntRange(0, 8).Draw(rt, "records") {
			kind := Value
			if rapid.IntRange(0, 9).Draw(rt, "odd") == 0 {
				kind = Failure
			}
			b = Append(b, kind, rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(rt, "data"))
		}
		b = append(b, rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(rt, "garbage")...)
		n := rapid.IntRange(0, 10).Draw(rt, "n")

		records, rest := 0, b
		for records < n {
			kind, _, after, err := Next(rest)
			if err != nil || kind != Value {
				break
			}
			records++
			rest = after
		}
		gotRecords, size := Values(b, n)
		require.Equal(rt, records, gotRecords)
		require.Equal(rt, len(b)-len(rest), size)
	})
}
