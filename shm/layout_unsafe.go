package shm

import "unsafe"

// The layouts are file formats. A change here is a new version, and these lines
// are meant to stop the build first.
var (
	_ [ringWordsSize]byte = [unsafe.Sizeof(ringWords{})]byte{}
	_ [64]byte            = [unsafe.Offsetof(ringWords{}.put)]byte{}
	_ [128]byte           = [unsafe.Offsetof(ringWords{}.tail)]byte{}
	_ [192]byte           = [unsafe.Offsetof(ringWords{}.get)]byte{}
	_ [256]byte           = [unsafe.Offsetof(ringWords{}.head)]byte{}
	_ [320]byte           = [unsafe.Offsetof(ringWords{}.items)]byte{}
	_ [memberSize]byte    = [unsafe.Sizeof(member{})]byte{}

	_ [256]byte = [unsafe.Sizeof(wayWords{})]byte{}
	_ [128]byte = [unsafe.Offsetof(wayWords{}.tail)]byte{}
	_ [192]byte = [unsafe.Offsetof(wayWords{}.head)]byte{}
	_ [640]byte = [unsafe.Sizeof(pipeWords{})]byte{}
)
