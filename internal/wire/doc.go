// Package wire turns Go values into messages between processes and back, and
// moves messages over Unix sockets together with the descriptors they need.
//
// A value travels in one of two forms, chosen by its type, so that both sides
// choose alike: as its bytes, if it is a string, holds no pointer (see package
// plain), or is a slice of such elements; as CBOR otherwise. [Check] refuses a
// type whose values would not come back equal, before anything is sent.
//
// What equal means: as reflect.DeepEqual has it, with three exceptions. A
// time.Time comes back as the same instant with the same offset from UTC, but
// without the name of its zone and without a monotonic reading. Pointers to one
// value come back as pointers to as many copies. A type with MarshalCBOR or
// MarshalBinary comes back as its own methods make it.
//
// Objects in shared memory travel as descriptors beside the data: see
// [Traveller].
package wire
