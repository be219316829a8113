package roster

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestIDBits(t *testing.T) {
	for _, tt := range []struct {
		index      int
		generation uint32
		id         ID
		name       string
	}{
		{0, 0, 1, "slot 0 generation 0"},
		{0, 1, 1<<14 | 1, "slot 0 generation 1"},
		{5, 3, 3<<14 | 6, "slot 5 generation 3"},
		{Slots - 1, genMask, Mask, "slot 16382 generation 65535"},
		{0, genMask + 1, 1, "slot 0 generation 0"}, // the slot's generation has 32 bits, the ID keeps 16
	} {
		id := makeID(tt.index, tt.generation)
		require.Equal(t, tt.id, id)
		require.Equal(t, tt.index, id.index())
		require.Equal(t, tt.generation&genMask, id.generation())
		require.Equal(t, tt.name, id.String())
		require.Zero(t, id&^Mask, "room for two flags in a lock word")
	}
	require.Equal(t, -1, ID(0).index(), "nobody")
}

// TestStrangeIDs looks at what a damaged lock word may contain.
func TestStrangeIDs(t *testing.T) {
	tab, _ := newTable(t, 3)
	own := claim(t, tab)
	for _, id := range []ID{0, makeID(1, 0), makeID(3, 0), makeID(Slots-1, 0), Mask, 1 << 14, own.id + 1<<14, own.id - 1<<14} {
		require.Equal(t, Sight{}, Look(id), id)
		_ = Fence(context.Background(), id)
	}
	require.True(t, Look(own.id).Alive)
}
