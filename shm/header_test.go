package shm

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/plain"
	"github.com/go-multiproc/multiproc/internal/roster"
	psync "github.com/go-multiproc/multiproc/sync"
)

// layout is the table of testdata/layout.txt: other programs rely on it, so it
// changes with the version only.
func layout(t testing.TB) string {
	text, err := os.ReadFile("testdata/layout.txt")
	require.NoError(t, err)
	return string(text)
}

func TestLayoutOfStructs(t *testing.T) {
	var b strings.Builder
	table := func(name string, typ reflect.Type) {
		for f := range typ.Fields() {
			field := strings.ToLower(f.Name)
			switch {
			case f.Type.Size() == 0: // structs.HostLayout
				continue
			case f.Name == "_":
				field = "-"
			}
			fmt.Fprintf(&b, "%-7s %-11s %4d %4d\n", name, field, f.Offset, f.Type.Size())
		}
	}
	for _, v := range []any{header{}, entry{}} {
		table(reflect.TypeOf(v).Name(), reflect.TypeOf(v))
		require.Equal(t, 64, binary.Size(v), "as a file it has no padding")
		require.EqualValues(t, 64, reflect.TypeOf(v).Size())
	}
	table("ring", reflect.TypeFor[ringWords]())
	table("member", reflect.TypeFor[member]())
	table("way", reflect.TypeFor[wayWords]())
	table("pipe", reflect.TypeFor[pipeWords]())
	require.Equal(t, layout(t), b.String())
}

// firstPage returns the header as it stands in the file.
func firstPage(t testing.TB, f *os.File) []byte {
	page := make([]byte, headerSize)
	_, err := f.ReadAt(page, 0)
	require.NoError(t, err)
	return page
}

// TestLayoutAsWritten reads what the constructors write, by the offsets of the
// table and nothing else.
func TestLayoutAsWritten(t *testing.T) {
	array := testArray[int32](t, &Options{Name: "golden"}, 2, 3, 6, 7, 8)
	value := testValue(t, 1.5, &Options{NoLock: true})
	given := testValue(t, struct{ A, B uint16 }{1, 2}, &Options{Lock: array.Locker()})
	bare := testSegment(t, 100)

	all := array.mapping.file
	require.Equal(t, "golden", all.Name())
	cache := func(n int) int { return headerSize + ownLockSize + n } // data behind a lock
	for _, tt := range []struct {
		name string
		file *os.File
		want map[string]any
	}{
		{"array", all, map[string]any{
			"header objects": 1, "header size": cache(5 * 4),
			"entry kind": 1, "entry code": int('i'), "entry offset": 4160, "entry length": 5, "entry element": 4,
			"entry fingerprint": plain.Fingerprint(reflect.TypeFor[int32]()), "entry lock": 1, "entry lockoffset": 4096,
		}},
		{"value without a lock", value.mapping.file, map[string]any{
			"header objects": 1, "header size": headerSize + 8,
			"entry kind": 2, "entry code": int('d'), "entry offset": 4096, "entry length": 1, "entry element": 8,
			"entry fingerprint": plain.Fingerprint(reflect.TypeFor[float64]()), "entry lock": 0, "entry lockoffset": 0,
		}},
		{"value with a lock elsewhere", given.mapping.file, map[string]any{
			"header objects": 1, "header size": headerSize + 4,
			"entry kind": 2, "entry code": 0, "entry offset": 4096, "entry length": 1, "entry element": 4,
			"entry fingerprint": plain.Fingerprint(reflect.TypeFor[struct{ A, B uint16 }]()), "entry lock": 2, "entry lockoffset": 0,
		}},
		{"bare segment", bare.File(), map[string]any{
			"header objects": 0, "header size": headerSize + 100,
			"entry kind": 0, "entry code": 0, "entry offset": 0, "entry length": 0, "entry element": 0,
			"entry fingerprint": 0, "entry lock": 0, "entry lockoffset": 0,
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			table := roster.TableID()
			tt.want["header magic"] = hex.EncodeToString([]byte("MPSEGMNT"))
			tt.want["header version"] = 2
			tt.want["entry mode"], tt.want["entry limit"] = 0, 0
			tt.want["header roster"] = hex.EncodeToString(table[:])
			page := firstPage(t, tt.file)
			for line := range strings.Lines(layout(t)) {
				var of, field string
				var offset, size int
				_, err := fmt.Sscan(line, &of, &field, &offset, &size)
				require.NoError(t, err)
				switch of {
				case "header":
				case "entry":
					offset += fixedSize
				default:
					continue // lies behind the first page
				}
				var got string
				switch bytes := page[offset : offset+size]; {
				case field == "-":
					require.Equal(t, make([]byte, size), bytes, line)
					continue
				case field == "id":
					require.NotEqual(t, make([]byte, size), bytes)
					continue
				case size == 4:
					got = fmt.Sprint(binary.NativeEndian.Uint32(bytes))
				case size == 8 && field != "magic":
					got = fmt.Sprint(binary.NativeEndian.Uint64(bytes))
				default:
					got = hex.EncodeToString(bytes)
				}
				require.Equal(t, fmt.Sprint(tt.want[of+" "+field]), got, line)
			}
			require.Equal(t, make([]byte, headerSize-fixedSize-entrySize), page[fixedSize+entrySize:])
		})
	}
}

// The lock and the data lie where the entry says.
func TestLayoutOfData(t *testing.T) {
	array := testArray[int32](t, nil, 2, 3, 6)
	require.Equal(t, headerSize+ownLockSize, offsetOf(t, array.mapping, array.view))
	offset, ok := array.mapping.offsetIn(array.Locker())
	require.True(t, ok)
	require.Equal(t, headerSize, offset)
	require.LessOrEqual(t, reflect.TypeFor[psync.RMutex]().Size(), uintptr(ownLockSize))

	data := make([]byte, 12)
	_, err := array.mapping.file.ReadAt(data, headerSize+ownLockSize)
	require.NoError(t, err)
	var want bytes.Buffer
	require.NoError(t, binary.Write(&want, binary.NativeEndian, []int32{2, 3, 6}))
	require.Equal(t, want.Bytes(), data)

	bare := testArray[int32](t, &Options{NoLock: true}, 2, 3, 6)
	require.Equal(t, headerSize, offsetOf(t, bare.mapping, bare.view))
}

func TestIDsDiffer(t *testing.T) {
	const id = 24
	a, b := firstPage(t, testSegment(t, 0).File()), firstPage(t, testSegment(t, 0).File())
	require.NotEqual(t, a[id:id+16], b[id:id+16])
	copy(a[id:id+16], b[id:id+16])
	require.Equal(t, a, b)
}
