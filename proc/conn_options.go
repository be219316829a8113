package proc

import "time"

// ConnOptions tune Listen and Dial. Nil means the defaults.
type ConnOptions struct {
	// Key is a secret that both ends must have. It is not sent: each end proves to
	// the other that it knows it. Keys should be random: a process that listens in
	// the other's place can try guesses afterwards. The proof is about the moment
	// of connecting only: what is sent afterwards is not protected against a
	// process of the same user that has put itself in between. An empty key that
	// is not nil is a key.
	//
	// The default is KeyFile.
	Key []byte

	// KeyFile is a file whose content, byte for byte, is the key, at most 4096
	// of them. It must belong to the user of this process, and nobody else may have
	// any permission for it.
	//
	// The default is the environment variable MULTIPROC_AUTHKEY, if it is set
	// and not empty; else there is no key, and every process of the same user
	// can connect. Processes of other users never can.
	KeyFile string

	// MaxMessage is the size of the largest message that is received, in bytes
	// after encoding. Memory is taken as the bytes come. It holds for connections
	// that come in such messages, too. A message has at most 1024 descriptors: one
	// for each shared object in it, two for an end of a pipe, and for an array or
	// value whose lock lies elsewhere.
	//
	// The default is 1 GiB.
	MaxMessage int

	// Handshake is how long the other end may take to prove itself.
	//
	// The default is 5 seconds.
	Handshake time.Duration

	// Backlog is how many callers may wait in the kernel for Listen to take
	// notice of them, while 64 others wait for Accept or are being greeted.
	// Who dials then waits. Dial does not use it.
	//
	// The default is 128.
	Backlog int

	// Refused is called when Listen has turned a caller away, with the reason:
	// it matches ErrAuthentication, ErrProtocol, os.ErrDeadlineExceeded, or
	// io.ErrUnexpectedEOF for one that hung up, as another Listen at the same
	// path does when it has seen that somebody listens. It runs in a goroutine
	// of its own, perhaps in several at once, and perhaps after Close; until it
	// returns it takes up one of the places for callers. Dial does not use it.
	//
	// The default is to tell nobody.
	Refused func(error)
}

const (
	defaultHandshake = 5 * time.Second
	defaultBacklog   = 128
)

// settings are options with the defaults filled in.
type settings struct {
	key       secret
	max       int
	handshake time.Duration
	backlog   int
	refused   func(error)
}

func settingsOf(o *ConnOptions) (*settings, error) {
	if o == nil {
		o = &ConnOptions{}
	}
	key, err := secretOf(o)
	if err != nil {
		return nil, err
	}
	orDefault := func(n, d int) int {
		if n <= 0 {
			return d
		}
		return n
	}
	return &settings{
		key:       key,
		max:       orDefault(o.MaxMessage, defaultMaxMessage),
		handshake: time.Duration(orDefault(int(o.Handshake), int(defaultHandshake))),
		backlog:   orDefault(o.Backlog, defaultBacklog),
		refused:   o.Refused,
	}, nil
}
