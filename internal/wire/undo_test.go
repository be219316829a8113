package wire

import (
	"os"
	"reflect"
	"sync"
	"testing"

	"github.com/fxamacker/cbor/v2"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// undone are the names of the keepers that were taken back, in order.
var undone []string

// A keeper is something that has to be taken back. One with the name "bad"
// cannot be encoded, "rotten" not be decoded, and "panic" panics there.
type keeper struct{ name string }

func (*keeper) Travels() {}

func (k *keeper) MarshalCBOR() ([]byte, error) {
	if k.name == "bad" {
		return nil, errTest
	}
	if _, err := AddFile(k, os.Stdin); err != nil {
		return nil, err
	}
	Undo(func() { undone = append(undone, "sent "+k.name) })
	return cbor.Marshal(k.name)
}

func (k *keeper) UnmarshalCBOR(data []byte) error {
	if err := cbor.Unmarshal(data, &k.name); err != nil {
		return err
	}
	switch k.name {
	case "rotten":
		return errTest
	case "panic":
		panic("test")
	}
	Undo(func() { undone = append(undone, "opened "+k.name) })
	return nil
}

func keepers(names ...string) reflect.Value {
	var all []*keeper
	for _, name := range names {
		all = append(all, &keeper{name})
	}
	return reflect.ValueOf(all)
}

// requireUndone returns what was taken back since the last call.
func requireUndone(t *testing.T, want ...string) {
	t.Helper()
	require.Equal(t, want, undone)
	undone = nil
}

// What is not sent is taken back, the last first, and once.
func TestUndoEncoding(t *testing.T) {
	before := descriptors(t)
	_, err := Encode(keepers("a", "b", "bad"))
	require.ErrorIs(t, err, errTest)
	requireUndone(t, "sent b", "sent a")

	m, err := Encode(keepers("a", "b"))
	require.NoError(t, err)
	m.Close()
	m.Close()
	requireUndone(t, "sent b", "sent a")
	require.Equal(t, before, descriptors(t))

	a, b := pair(t)
	m, err = Encode(keepers("a"))
	require.NoError(t, err)
	require.NoError(t, Send(a, 1, m))
	m.Close()
	requireUndone(t)

	require.NoError(t, b.Close())
	m, err = Encode(keepers("c"))
	require.NoError(t, err)
	require.ErrorIs(t, Send(a, 1, m), unix.EPIPE)
	requireUndone(t)
	m.Close()
	requireUndone(t, "sent c")

	Undo(func() { t.Error("outside of a message there is nothing to take back") })
}

// One message may be sent to several peers at once. It is the race detector that has
// something to say here.
func TestUndoOfMessageForSeveral(t *testing.T) {
	m, err := Encode(keepers("a"))
	require.NoError(t, err)
	var all sync.WaitGroup
	for range 2 {
		a, _ := pair(t)
		all.Go(func() {
			if err := Send(a, 1, m); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	m.Close()
	requireUndone(t)
}

// What was opened for a message that turns out to be bad is given up, and none of
// it is left in the value.
func TestUndoDecoding(t *testing.T) {
	var got []*keeper
	decode := func(names ...string) error {
		m, err := Encode(keepers(names...))
		require.NoError(t, err)
		m.undo = nil // as if it was sent
		defer m.Close()
		return Decode(m, reflect.ValueOf(&got).Elem())
	}
	require.NoError(t, decode("a", "b"))
	require.Len(t, got, 2)
	requireUndone(t)
	require.ErrorIs(t, decode("a", "b", "rotten", "c"), errTest)
	require.Nil(t, got)
	requireUndone(t, "opened c", "opened b", "opened a") // cbor goes on after an error
	require.PanicsWithValue(t, "test", func() { _ = decode("a", "panic") })
	requireUndone(t, "opened a")
	require.Nil(t, current(false))
}

// A message has a limited number of descriptors, in both directions.
func TestTooManyFiles(t *testing.T) {
	before := descriptors(t)
	names := make([]string, maxFiles+1)
	_, err := Encode(keepers(names...))
	require.ErrorContains(t, err, "a message can have 1024 descriptors")
	require.Len(t, undone, maxFiles)
	undone = nil
	require.Equal(t, before, descriptors(t))

	a, b := pair(t)
	files := make([]*os.File, maxFiles+1)
	for i := range files {
		files[i] = os.Stdin
	}
	require.ErrorContains(t, Send(a, 1, &Message{Files: files}), "a message can have 1024 descriptors")
	go func() { _ = Send(a, 1, &Message{Files: files[1:]}) }()
	_, m, err := Recv(b)
	require.NoError(t, err)
	require.Len(t, m.Files, maxFiles)
	m.Close()
}

// A peer cannot make this process hold more: neither by claiming them, nor by a
// batch with each byte of the header.
func TestTooManyFilesFromPeer(t *testing.T) {
	for name, hostile := range map[string]func(c *Conn){
		"claimed": func(c *Conn) {
			_, _ = c.Write([]byte{0x50, 0x4d, 1, 0, 1, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
		},
		"with each byte": func(c *Conn) {
			var fds [batchSize]int // all of them standard input
			for range headerSize {
				_, _ = c.writeMsg([]byte{0}, unix.UnixRights(fds[:]...))
			}
		},
		"not claimed": func(c *Conn) {
			_, _ = c.writeMsg([]byte{0x50, 0x4d, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, unix.UnixRights(0, 0))
		},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := pair(t)
			before := descriptors(t)
			hostile(a)
			r := NewReceiver(b)
			_, _, err := r.Head()
			require.ErrorIs(t, err, ErrFormat)
			require.ErrorContains(t, err, "descriptors")
			require.True(t, r.have <= maxFiles/batchSize || r.have == headerSize, "it was stopped early")
			require.Equal(t, before, descriptors(t))
		})
	}
}
