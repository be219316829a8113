package inherit

// Equals is equals, for the tests.
var Equals = equals
