package wire

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"sync"
	"testing"

	"github.com/fxamacker/cbor/v2"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// A shared object may stand anywhere, and costs one descriptor however often.
func TestTravellers(t *testing.T) {
	type args struct {
		One  *box
		Some []*box
		By   map[string]*box
		Nil  *box
	}
	before := descriptors(t)
	a, b := &box{file: memfd(t, "apple")}, &box{file: memfd(t, "berry")}
	m, err := Encode(reflect.ValueOf(args{One: a, Some: []*box{b, nil, a}, By: map[string]*box{"x": b}}))
	require.NoError(t, err)
	require.Len(t, m.Files, 2)
	for _, f := range m.Files {
		require.NoError(t, control(f, func(fd uintptr) error {
			flags, err := unix.FcntlInt(fd, unix.F_GETFD, 0)
			require.Equal(t, unix.FD_CLOEXEC, flags)
			return err
		}))
	}

	var got args
	require.NoError(t, Decode(m, reflect.ValueOf(&got).Elem()))
	apple, berry := &box{word: "apple"}, &box{word: "berry"}
	require.Equal(t, args{One: apple, Some: []*box{berry, nil, apple}, By: map[string]*box{"x": berry}}, got)

	m.Close()
	m.Close()
	require.Equal(t, before+2, descriptors(t), "the objects' own are left")
	(*Message)(nil).Close()

	top, err := Encode(reflect.ValueOf(a))
	require.NoError(t, err)
	defer top.Close()
	var box *box
	require.NoError(t, Decode(top, reflect.ValueOf(&box).Elem()))
	require.Equal(t, "apple", box.word)
}

func TestTravellersOutsideOfMessages(t *testing.T) {
	_, err := AddFile("key", os.Stdin)
	require.ErrorIs(t, err, ErrNoMessage)
	_, err = File(0)
	require.ErrorIs(t, err, ErrNoMessage)
	_, err = cbor.Marshal(&box{file: os.Stdin})
	require.ErrorIs(t, err, ErrNoMessage)

	for data, want := range map[string]string{"\x07": "descriptor 7 of 0", "\x20": "descriptor -1 of 0"} {
		var b *box
		err = Decode(&Message{Data: []byte(data)}, reflect.ValueOf(&b).Elem())
		require.ErrorIs(t, err, ErrFormat)
		require.ErrorContains(t, err, want)
	}
}

// A failed Encode leaves no descriptor and no envelope behind, nor does a panic.
func TestEncodeFails(t *testing.T) {
	before := descriptors(t)
	closed := memfd(t, "")
	closed.Close()
	_, err := Encode(reflect.ValueOf([]*box{{file: os.Stdin}, {file: closed}}))
	require.ErrorIs(t, err, os.ErrClosed)

	_, err = Encode(reflect.ValueOf([]*failing{{err: errTest}}))
	require.ErrorIs(t, err, errTest)

	require.PanicsWithValue(t, "test", func() { _, _ = Encode(reflect.ValueOf([]*failing{{}})) })
	require.Equal(t, before, descriptors(t))
	require.Nil(t, current(true))
}

var errTest = errors.New("test")

// A failing value adds a descriptor, then fails, or panics without an error.
type failing struct{ err error }

func (f *failing) MarshalCBOR() ([]byte, error) {
	if _, err := AddFile(f, os.Stdin); err != nil {
		return nil, err
	}
	if f.err == nil {
		panic("test")
	}
	return nil, f.err
}

func (f *failing) UnmarshalCBOR([]byte) error { return nil }

// A nested value encodes a message of its own while it is being encoded.
type nested struct{ inner *box }

func (n *nested) MarshalCBOR() ([]byte, error) {
	m, err := Encode(reflect.ValueOf(n.inner))
	if err != nil {
		return nil, err
	}
	defer m.Close()
	if len(m.Files) != 1 {
		return nil, fmt.Errorf("%d files in the inner message", len(m.Files))
	}
	i, err := AddFile(n, n.inner.file)
	if err != nil {
		return nil, err
	}
	return cbor.Marshal(i)
}

func (n *nested) UnmarshalCBOR(data []byte) error {
	n.inner = &box{}
	return n.inner.UnmarshalCBOR(data)
}

func TestNestedMessages(t *testing.T) {
	got := roundTrip(t, []*nested{{&box{file: memfd(t, "inner")}}}).([]*nested)
	require.Equal(t, "inner", got[0].inner.word)
}

// Goroutines do not see each other's messages.
func TestConcurrentMessages(t *testing.T) {
	words := []string{"apple", "berry", "cocoa", "dates"}
	var group sync.WaitGroup
	for _, word := range words {
		b := &box{file: memfd(t, word)}
		group.Go(func() {
			for range 200 {
				m, err := Encode(reflect.ValueOf([]*box{b}))
				if err != nil || len(m.Files) != 1 {
					t.Errorf("message %v: %v", m, err)
					return
				}
				var got []*box
				err = Decode(m, reflect.ValueOf(&got).Elem())
				m.Close()
				if err != nil || got[0].word != word {
					t.Errorf("%v instead of %s: %v", got, word, err)
					return
				}
			}
		})
	}
	group.Wait()
}
