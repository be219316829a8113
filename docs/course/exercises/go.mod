// The exercises of the course, a module of their own: their tests fail until
// somebody solves them.
module github.com/go-multiproc/multiproc/docs/course/exercises

go 1.26.0

require (
	github.com/go-multiproc/multiproc v0.0.0
	github.com/stretchr/testify v1.12.1
)

require (
	github.com/edsrzf/mmap-go v1.2.0 // indirect
	github.com/fxamacker/cbor/v2 v2.10.0 // indirect
	github.com/petermattis/goid v0.0.0-20260820044319-269ab09b5261 // indirect
	github.com/x448/float16 v0.8.4 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	golang.org/x/sys v0.49.0 // indirect
)

replace github.com/go-multiproc/multiproc => ../../../
