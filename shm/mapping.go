package shm

import (
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/edsrzf/mmap-go"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/roster"
)

// A mapping is a segment as this process sees it. There is one for each
// segment, however often it is attached or arrives in a message.
type mapping struct {
	file *os.File // ours, to be handed on
	key  mappingKey
	size int64
	data mmap.MMap
	refs int // under mappings.mu
}

// A mappingKey says which file it is; unlike the id in its header, a peer
// cannot forge that.
type mappingKey struct{ device, inode uint64 }

var mappings = struct {
	mu    sync.Mutex
	byKey map[mappingKey]*mapping
}{byKey: make(map[mappingKey]*mapping)}

// mapFile returns the mapping of the segment in f, with one more reference. It
// takes over f if owned, also when it fails; else it duplicates it if need be.
func mapFile(f *os.File, owned bool) (_ *mapping, err error) {
	keep := false
	defer func() {
		if owned && !keep {
			err = errors.Join(err, f.Close())
		}
	}()
	if err := control(f, sealed); err != nil { // first: the size that is read next is then for ever
		return nil, err
	}
	var st unix.Stat_t
	if err := control(f, func(fd int) error { return unix.Fstat(fd, &st) }); err != nil {
		return nil, fmt.Errorf("stat: %w", err)
	}
	key := mappingKey{uint64(st.Dev), st.Ino}

	mappings.mu.Lock()
	defer mappings.mu.Unlock()
	if m := mappings.byKey[key]; m != nil {
		m.refs++
		return m, nil
	}
	h, err := readHeader(f, st.Size)
	if err != nil {
		return nil, err
	}
	if h.Roster != roster.TableID() {
		return nil, ErrRoster
	}
	if !owned {
		if f, err = duplicate(f); err != nil {
			return nil, fmt.Errorf("duplicate the descriptor: %w", err)
		}
	}
	data, err := mmap.MapRegion(f, int(st.Size), mmap.RDWR, 0, 0)
	if err != nil {
		if !owned {
			_ = f.Close() // the error at hand says more
		}
		return nil, fmt.Errorf("map %d bytes: %w", st.Size, err)
	}
	keep = true
	m := &mapping{file: f, key: key, size: st.Size, data: data, refs: 1}
	mappings.byKey[key] = m
	return m, nil
}

// retain adds a reference.
func (m *mapping) retain() {
	mappings.mu.Lock()
	defer mappings.mu.Unlock()
	m.refs++
}

// release drops a reference; the last one unmaps.
func (m *mapping) release() error {
	mappings.mu.Lock()
	defer mappings.mu.Unlock()
	if m.refs--; m.refs > 0 {
		return nil
	}
	delete(mappings.byKey, m.key)
	return errors.Join(m.data.Unmap(), m.file.Close())
}

// control calls fn with the descriptor of f, which cannot be closed meanwhile.
func control(f *os.File, fn func(fd int) error) error {
	c, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if c.Control(func(fd uintptr) { failed = fn(int(fd)) }) != nil {
		return ErrClosed // the only reason there is; the error itself does not match it
	}
	return failed
}

// duplicate returns a descriptor of our own for a segment that arrived. It has
// the name that the segment was created with.
func duplicate(f *os.File) (dup *os.File, err error) {
	err = control(f, func(fd int) error {
		n, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		if err == nil {
			dup = os.NewFile(uintptr(n), memfdName(n, f.Name()))
		}
		return err
	})
	return dup, err
}
