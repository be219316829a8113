package lint

import (
	"encoding/binary"
	"go/constant"
	"go/token"
	"go/types"
	"io"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/wire"
)

// A table is one table of docs/layout.md with the heading above it.
type table struct {
	heading string
	columns []string
	rows    [][]string
}

// layoutTables reads the tables of docs/layout.md. Code marks are left out.
func layoutTables(t *testing.T) (tables []table) {
	t.Helper()
	text, err := os.ReadFile("../../docs/layout.md")
	require.NoError(t, err)
	heading, inside := "", false
	for line := range strings.Lines(strings.ReplaceAll(string(text), `\|`, "or")) {
		line = strings.TrimSpace(line)
		row, isRow := strings.CutPrefix(line, "|")
		switch {
		case strings.HasPrefix(line, "#"):
			heading = line
		case !isRow, strings.HasPrefix(row, "---"):
		default:
			cells := strings.Split(strings.TrimSuffix(row, "|"), "|")
			for i, cell := range cells {
				cells[i] = strings.Trim(strings.TrimSpace(cell), "`")
			}
			if !inside {
				tables = append(tables, table{heading: heading, columns: cells})
			} else {
				last := &tables[len(tables)-1]
				last.rows = append(last.rows, cells)
			}
		}
		inside = isRow
	}
	require.NotEmpty(t, tables)
	return tables
}

// byteRows lists the fields of a struct as docs/layout.md does: offset, size,
// name. Types without size, such as structs.HostLayout, are left out.
func byteRows(st *types.Struct, sizes types.Sizes) (rows [][]string) {
	var fields []*types.Var
	for f := range st.Fields() {
		fields = append(fields, f)
	}
	for i, offset := range sizes.Offsetsof(fields) {
		name, size := fields[i].Name(), sizes.Sizeof(fields[i].Type())
		if name == "_" {
			name = "-"
		}
		if size > 0 {
			rows = append(rows, []string{strconv.FormatInt(offset, 10), strconv.FormatInt(size, 10), name})
		}
	}
	return rows
}

var structHeading = regexp.MustCompile("`([a-z/]+\\.\\w+)`, (\\d+) bytes$")

// TestLayoutOfStructs compares the tables of bytes with the structs, and wants
// one for each struct that lies in shared memory.
func TestLayoutOfStructs(t *testing.T) {
	src := make(sources)
	described := make(map[string]bool)
	for _, table := range layoutTables(t) {
		head := structHeading.FindStringSubmatch(table.heading)
		if head == nil || table.columns[0] != "offset" {
			continue
		}
		name := head[1]
		described[name] = true
		st := src.lookupStruct(t, name)
		for _, arch := range []string{"amd64", "arm64"} {
			sizes := types.SizesFor("gc", arch)
			require.Equal(t, head[2], strconv.FormatInt(sizes.Sizeof(st), 10), "size of %s", name)
			var rows [][]string
			for _, row := range table.rows {
				rows = append(rows, row[:3])
			}
			require.Equal(t, byteRows(st, sizes), rows, name)
		}
	}
	for _, dir := range []string{"internal/roster", "internal/chunk", "sync", "shm", "proc"} {
		for _, name := range src.load(t, dir).hosted() {
			require.True(t, described[dir+"."+name], "docs/layout.md does not describe %s.%s", dir, name)
		}
	}
	require.True(t, described["shm.header"] && described["shm.entry"]) // encoded by field, without HostLayout
	require.True(t, described["internal/roster.slot"])                 // hosted finds something
}

// TestLayoutOfConstants compares the constants, and wants all of a group whose
// other members are there.
func TestLayoutOfConstants(t *testing.T) {
	src := make(sources)
	listed := make(map[string]bool)
	for _, table := range layoutTables(t) {
		if table.columns[0] != "constant" {
			continue
		}
		for _, row := range table.rows {
			object, ok := src.lookup(t, row[0]).(*types.Const)
			require.True(t, ok, "%s is no constant", row[0])
			want, err := types.Eval(token.NewFileSet(), nil, token.NoPos, row[1])
			require.NoError(t, err, row[0])
			require.True(t, constant.Compare(want.Value, token.EQL, object.Val()), "%s is %s, not %s", row[0], object.Val(), row[1])
			listed[row[0]] = true
		}
	}
	require.NotEmpty(t, listed)
	for name := range listed {
		dot := strings.LastIndexByte(name, '.')
		for _, other := range src.load(t, name[:dot]).together(name[dot+1:]) {
			require.True(t, listed[name[:dot+1]+other], "docs/layout.md has %s but not %s, which is declared with it", name, other)
		}
	}
}

// TestLayoutOfCBOR compares the keys and items of what travels as CBOR.
func TestLayoutOfCBOR(t *testing.T) {
	src := make(sources)
	listed := make(map[string][]string)
	for _, table := range layoutTables(t) {
		if table.columns[0] != "CBOR of" {
			continue
		}
		name := ""
		for _, row := range table.rows {
			if row[0] != "" {
				name = row[0]
			}
			listed[name] = append(listed[name], row[1])
		}
	}
	require.Len(t, listed, 8)
	for name, keys := range listed {
		var fields []string
		for f := range src.lookupStruct(t, name).Fields() {
			if f.Name() != "_" {
				fields = append(fields, f.Name())
			}
		}
		require.Equal(t, fields, keys, name)
	}
}

// TestLayoutOfFrames reads a frame by its table.
func TestLayoutOfFrames(t *testing.T) {
	i := slices.IndexFunc(layoutTables(t), func(table table) bool { return table.heading == "### Frame" })
	require.GreaterOrEqual(t, i, 0)
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	theirs := os.NewFile(uintptr(fds[1]), "reader")
	defer theirs.Close()
	conn, err := wire.NewConn(fds[0])
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close()) }()

	files := slices.Repeat([]*os.File{os.Stderr}, 254) // one more than go with the header
	require.NoError(t, wire.Send(conn, 7, &wire.Message{Data: []byte("hello"), Files: files}))
	frame := make([]byte, 24+1+5)
	_, err = io.ReadFull(theirs, frame)
	require.NoError(t, err)
	require.Equal(t, "hello", string(frame[25:]))

	want := map[string]uint64{"magic": 0x4d50, "kind": 7, "-": 0, "files": 254, "length": 5, "form": 0}
	end := 0
	for _, row := range layoutTables(t)[i].rows {
		offset, err := strconv.Atoi(row[0])
		if err != nil || row[2] == "batches" {
			continue
		}
		size, err := strconv.Atoi(row[1])
		require.NoError(t, err)
		require.Equal(t, end, offset, row[2])
		end += size
		var field [8]byte
		copy(field[:], frame[offset:end])
		require.Contains(t, want, row[2])
		require.Equal(t, want[row[2]], binary.LittleEndian.Uint64(field[:]), row[2])
	}
	require.Equal(t, 24, end)
}
