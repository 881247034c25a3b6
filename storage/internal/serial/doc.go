// Package serial is the queue behind the appenders of this module's stores: it
// calls one handler with what was put in, in order and never concurrently, on a
// goroutine that exists only while there is something to handle. So an idle
// segment costs no goroutine, whether it is open, sealed or abandoned.
//
// It knows nothing of segments, and bounds nothing: who puts in bounds how much
// is in flight.
package serial
