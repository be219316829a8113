package proc

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/wire"
)

// Errors of connecting that callers are expected to tell apart with errors.Is.
var (
	// ErrAuthentication means that the process at the other end has another key
	// than this one, has none while this one has, or belongs to another user.
	ErrAuthentication = errors.New("authentication failed")

	// ErrProtocol means that the other end does not speak the protocol of
	// connections, or another version of it.
	ErrProtocol = errors.New("not the protocol of connections")
)

// A hello is the first thing that each side sends, without waiting for the
// other. Its first 16 bytes are the same in all versions. Little endian.
type hello struct {
	Magic   [8]byte
	Version uint32
	Flags   uint32
	Nonce   [32]byte // never used twice
}

// A proof shows that its sender knows the key, which is not sent. If both have a
// key, the caller sends its proof first; the listener answers with its own, or
// with a verdict. Little endian.
type proof struct {
	Verdict uint32
	_       uint32
	MAC     [32]byte // HMAC-SHA-256, under the key, of the role, the caller's nonce, the listener's
}

const (
	helloMagic   = "MPCONNCT"
	helloVersion = 1

	helloKey      = 1 << 0 // of Flags: the sender has a key
	helloListener = 1 << 1 // of Flags: the sender listens

	proofGood = 0 // of Verdict
	proofBad  = 1 // the keys differ; MAC is zero

	// The roles that are part of a MAC, so that a proof which is sent back
	// proves nothing.
	roleCaller   = "multiproc connection 1: caller"
	roleListener = "multiproc connection 1: listener"
)

// greet makes a connection of a socket: both sides see that the other one is a
// process of the same user, speaks this protocol and has the same key. It
// closes the socket if that fails.
func greet(ctx context.Context, sock *wire.Conn, listens bool, s *settings) (_ *Conn, err error) {
	defer func() {
		if err != nil {
			_ = sock.Close() // the error at hand says more
		}
	}()
	peer, err := sock.Peer()
	if err != nil {
		return nil, err
	}
	if uid := os.Geteuid(); peer.UID != uid {
		return nil, fmt.Errorf("%w: process %d belongs to user %d, this one to %d", ErrAuthentication, peer.Pid, peer.UID, uid)
	}
	limited, cancel := context.WithTimeout(ctx, s.handshake)
	defer cancel()
	deadline := func(t time.Time) error { return errors.Join(sock.SetReadDeadline(t), sock.SetWriteDeadline(t)) }
	err = interruptible(limited, deadline, func() error { return handshake(sock, listens, s.key) })
	switch {
	case err == nil:
		return newConn(sock, peer, s.max), nil
	case ctx.Err() != nil:
		err = ctx.Err()
	case limited.Err() != nil:
		err = fmt.Errorf("no answer within %v: %w", s.handshake, os.ErrDeadlineExceeded)
	case errors.Is(err, io.EOF), errors.Is(err, unix.EPIPE), errors.Is(err, unix.ECONNRESET):
		err = fmt.Errorf("it hung up: %w", io.ErrUnexpectedEOF)
	}
	return nil, fmt.Errorf("handshake with process %d: %w", peer.Pid, err)
}

// handshake reads nothing but what has a fixed size, and takes no descriptors.
func handshake(sock io.ReadWriter, listens bool, key secret) error {
	mine := hello{Version: helloVersion}
	copy(mine.Magic[:], helloMagic)
	_, _ = rand.Read(mine.Nonce[:]) // never fails: it ends the program instead
	if key != nil {
		mine.Flags |= helloKey
	}
	if listens {
		mine.Flags |= helloListener
	}
	if err := put(sock, &mine); err != nil {
		return err
	}
	theirs, err := readHello(sock)
	if err != nil {
		return err
	}
	const known = helloKey | helloListener
	switch differ := mine.Flags ^ theirs.Flags; {
	case theirs.Flags&^known != 0 || differ&helloListener == 0:
		return fmt.Errorf("%w: flags %#x from the other end, %#x from this", ErrProtocol, theirs.Flags, mine.Flags)
	case differ&helloKey != 0 && key != nil:
		return fmt.Errorf("%w: the other end has no key, this one has", ErrAuthentication)
	case differ&helloKey != 0:
		return fmt.Errorf("%w: the other end has a key, this one has none", ErrAuthentication)
	case key == nil:
		return nil
	case listens:
		return answerProof(sock, key, &theirs, &mine)
	}
	return giveProof(sock, key, &mine, &theirs)
}

// readHello looks at the version before it reads the rest, which another
// version may not have.
func readHello(r io.Reader) (h hello, err error) {
	var bytes [48]byte
	if _, err := io.ReadFull(r, bytes[:16]); err != nil {
		return h, err
	}
	if string(bytes[:8]) != helloMagic {
		return h, fmt.Errorf("%w: it began with % x", ErrProtocol, bytes[:8])
	}
	if v := binary.LittleEndian.Uint32(bytes[8:]); v != helloVersion {
		return h, fmt.Errorf("%w: the other end speaks version %d, this one %d", ErrProtocol, v, helloVersion)
	}
	if _, err := io.ReadFull(r, bytes[16:]); err != nil {
		return h, err
	}
	_, err = binary.Decode(bytes[:], binary.LittleEndian, &h)
	return h, err
}

// giveProof is the caller's part.
func giveProof(sock io.ReadWriter, key secret, caller, listener *hello) error {
	if err := put(sock, &proof{MAC: mac(key, roleCaller, caller, listener)}); err != nil {
		return err
	}
	var answer proof
	if err := binary.Read(sock, binary.LittleEndian, &answer); err != nil {
		return err
	}
	if answer.Verdict == proofBad {
		return fmt.Errorf("%w: the listener has another key", ErrAuthentication)
	}
	return answer.check(mac(key, roleListener, caller, listener))
}

// answerProof is the listener's part. It proves nothing to who has not proved
// to know the key.
func answerProof(sock io.ReadWriter, key secret, caller, listener *hello) error {
	var given proof
	if err := binary.Read(sock, binary.LittleEndian, &given); err != nil {
		return err
	}
	if err := given.check(mac(key, roleCaller, caller, listener)); err != nil {
		_ = put(sock, &proof{Verdict: proofBad}) // a favour
		return err
	}
	return put(sock, &proof{MAC: mac(key, roleListener, caller, listener)})
}

func (p *proof) check(want [32]byte) error {
	if p.Verdict != proofGood || !hmac.Equal(p.MAC[:], want[:]) {
		return fmt.Errorf("%w: the other end has another key", ErrAuthentication)
	}
	return nil
}

func mac(key secret, role string, caller, listener *hello) (sum [32]byte) {
	h := hmac.New(sha256.New, key)
	for _, part := range [][]byte{[]byte(role), caller.Nonce[:], listener.Nonce[:]} {
		_, _ = h.Write(part) // a hash.Hash never returns an error
	}
	h.Sum(sum[:0])
	return sum
}

// put writes all at once.
func put(w io.Writer, v any) error {
	b, err := binary.Append(nil, binary.LittleEndian, v)
	if err != nil {
		return err
	}
	_, err = w.Write(b)
	return err
}
