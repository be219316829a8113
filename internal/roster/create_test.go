package roster

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/proctest"
)

// founder joins together with others, and tells which table it is in. Its
// second argument, if there is one, takes the place of the user's usual table.
var founder = proctest.Register("founder", func(h *proctest.Helper) error {
	if h.Args[0] != "" {
		if err := os.Setenv(Variable, h.Args[0]); err != nil {
			return err
		}
	} else {
		usual = func() string { return h.Args[1] }
	}
	h.Ready()
	id, err := Join()
	if err != nil {
		return err
	}
	h.Say(fmt.Sprintf("%x %s %d", TableID(), File().Name(), uint32(id)))
	_, err = h.Listen()
	return err
})

// found lets n founders go at the same time.
func found(t *testing.T, n int, args ...string) (tables map[string]bool, ids []ID) {
	t.Helper()
	var founders []*proctest.Proc
	for range n {
		founders = append(founders, founder.Start(t, nil, args...))
	}
	proctest.Gate(t, founders...)
	tables = map[string]bool{}
	for _, p := range founders {
		line := p.Line(t)
		cut := strings.LastIndexByte(line, ' ')
		var id ID
		_, err := fmt.Sscan(line[cut+1:], &id)
		require.NoError(t, err)
		tables[line[:cut]] = true
		ids = append(ids, id)
	}
	return tables, ids
}

func names(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// TestFounders has many processes make the first table at once.
func TestFounders(t *testing.T) {
	for _, args := range []func(path string) []string{
		func(path string) []string { return []string{path} },
		func(path string) []string { return []string{"", path} }, // the usual place
	} {
		for range 3 {
			dir := directory(t)
			path := filepath.Join(dir, "roster")
			tables, ids := found(t, 12, args(path)...)
			require.Len(t, tables, 1, "one table for all")
			require.Equal(t, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, indexes(ids...))
			require.Equal(t, []string{"roster"}, names(t, dir))
			info, err := os.Stat(path)
			require.NoError(t, err)
			require.Equal(t, os.FileMode(0o600), info.Mode())
			require.EqualValues(t, 1<<20, info.Size())
			var st unix.Stat_t
			require.NoError(t, unix.Stat(path, &st))
			require.EqualValues(t, 1<<20, st.Blocks*512, "reserved")
		}
	}
}

// TestRaceForTheName has goroutines make the table, which come closer to each
// other than processes do: all but one lose the race for the name, and open the
// winner's table.
func TestRaceForTheName(t *testing.T) {
	const racers = 4
	for range 50 {
		path := filepath.Join(directory(t), "roster")
		gate := make(chan struct{})
		tables, errs := make(chan *table, racers), make(chan error, racers)
		for range racers {
			go func() {
				<-gate
				tab, err := openPath(path)
				tables <- tab
				errs <- err
			}()
		}
		close(gate)
		ids := map[[16]byte]bool{}
		for range racers {
			require.NoError(t, <-errs)
			tab := <-tables
			ids[tab.header.id] = true
			require.NoError(t, tab.close())
		}
		require.Len(t, ids, 1)
	}
	path := filepath.Join(directory(t), "roster")
	require.NoError(t, create(path))
	require.ErrorIs(t, create(path), fs.ErrExist)
}

// TestFamily squats the usual place. Each process that has no parent to inherit
// from then has a table without a name.
func TestFamily(t *testing.T) {
	squats := map[string]func(path string) error{
		"foreign":   func(path string) error { return os.WriteFile(path, []byte("mine"), 0o600) },
		"open mode": func(path string) error { return os.WriteFile(path, nil, 0o666) },
		"directory": func(path string) error { return os.Mkdir(path, 0o755) },
		"fifo":      func(path string) error { return unix.Mkfifo(path, 0o600) },
		"link":      func(path string) error { return os.Symlink("/etc/passwd", path) },
		"no place":  func(string) error { return nil },
		// Another user's: to an ordinary user a file that it may not open is the
		// same.
		"not ours": func(path string) error {
			if err := os.WriteFile(path, nil, 0o000); err != nil || os.Geteuid() != 0 {
				return err
			}
			return os.Chown(path, 1234, -1)
		},
	}
	for name, squat := range squats {
		t.Run(name, func(t *testing.T) {
			dir := directory(t)
			path := filepath.Join(dir, "roster")
			if name == "no place" {
				path = filepath.Join(dir, "missing", "roster")
			}
			require.NoError(t, squat(path))
			before := names(t, dir)
			tables, ids := found(t, 2, "", path)
			require.Len(t, tables, 2, "two families")
			for table := range tables {
				require.Contains(t, table, " multiproc-roster")
			}
			require.Equal(t, []ID{makeID(0, 1), makeID(0, 1)}, ids)
			require.Equal(t, before, names(t, dir))
		})
	}
}

// TestFamilyWhenFull fills the usual table.
func TestFamilyWhenFull(t *testing.T) {
	_, path := newTable(t, 1)
	start(t, path)
	tables, _ := found(t, 1, "", path)
	for table := range tables {
		require.Contains(t, table, " multiproc-roster")
	}
}

func TestUsualPlace(t *testing.T) {
	require.Equal(t, fmt.Sprintf("/dev/shm/multiproc-%d.v2", os.Geteuid()), usual())
}

// TestFamilyIsSealed: nobody who inherits it can cut it off.
func TestFamilyIsSealed(t *testing.T) {
	proctest.NoLeaks(t)
	tab, err := family()
	require.NoError(t, err)
	require.Len(t, tab.slots, Slots)
	require.ErrorIs(t, tab.file.Truncate(0), unix.EPERM)
	require.ErrorIs(t, tab.file.Truncate(1<<21), unix.EPERM)
	require.NoError(t, tab.close())
}
