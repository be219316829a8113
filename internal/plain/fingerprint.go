package plain

import (
	"encoding/binary"
	"hash"
	"hash/fnv"
	"io"
	"reflect"
)

// Fingerprint returns a hash of the layout of t, which must have passed Check:
// 64 bits of FNV-1a over kinds, sizes, array lengths, field names and offsets,
// recursively. Names of types and packages do not count, so two programs that
// declare the same layout agree.
//
// It finds mistakes, such as a segment of another version of a program. It is
// no defence against a peer that wants to deceive.
func Fingerprint(t reflect.Type) uint64 {
	h := fnv.New64a()
	fingerprint(h, t)
	return h.Sum64()
}

func fingerprint(h hash.Hash64, t reflect.Type) {
	text(h, t.Kind().String()) // not its number, which Go does not promise to keep
	number(h, uint64(t.Size()))
	switch t.Kind() {
	case reflect.Array:
		number(h, uint64(t.Len()))
		fingerprint(h, t.Elem())
	case reflect.Struct:
		number(h, uint64(t.NumField()))
		for f := range t.Fields() {
			text(h, f.Name)
			number(h, uint64(f.Offset))
			fingerprint(h, f.Type)
		}
	}
}

// text writes s behind its length, so that no two sequences of texts look alike.
func text(h hash.Hash64, s string) {
	number(h, uint64(len(s)))
	_, _ = io.WriteString(h, s)
}

// number writes n; a hash.Hash never returns an error.
func number(h hash.Hash64, n uint64) {
	_, _ = h.Write(binary.LittleEndian.AppendUint64(nil, n))
}
