package proc

import (
	"reflect"
	"slices"

	"github.com/go-multiproc/multiproc/internal/chunk"
	"github.com/go-multiproc/multiproc/internal/wire"
)

// onlyBytes reports whether values of type T travel as their bytes.
func onlyBytes[T any]() bool {
	return wire.Check(reflect.TypeFor[T]()) == nil && wire.Fixed(reflect.TypeFor[T]())
}

// plain reports whether they are, besides, so few that their records always lie in
// a slot. Map moves such values in bulk.
func plain[T any]() bool { return onlyBytes[T]() && reflect.TypeFor[T]().Size() <= chunk.Room/4 }

// feedPlain feeds inputs that are plain.
func (f *feeder[A, R]) feedPlain(in []A) {
	defer close(f.ended)
	j := f.call.job
	for block := range slices.Chunk(in, f.block) {
		size := chunk.RecordSize(len(memoryOf(&block[0])))
		args := make([]byte, 0, len(block)*size)
		for i := range block {
			args = chunk.Append(args, chunk.Value, memoryOf(&block[i]))
		}
		if !j.feed(span{items: len(block), size: size, args: args}, nil, nil) {
			return
		}
	}
	j.fed()
}

// storePlain copies results that are plain to their places: those of the first
// records, until there is one that holds no such value. It returns how many they are,
// and the size of their records.
func storePlain[R any](places []R, records []byte) (items, size int) {
	rest := records
	for items < len(places) {
		kind, data, after, err := chunk.Next(rest)
		memory := memoryOf(&places[items])
		if err != nil || kind != chunk.Value || len(data) != len(memory) {
			break
		}
		copy(memory, data)
		rest = after
		items++
	}
	return items, len(records) - len(rest)
}
