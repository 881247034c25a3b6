// Package proxy stands between two ends of TCP on loopback, and breaks what goes
// through it in the ways in which networks do.
//
//	client ──► Link ──► target          Cut: connections break, new ones are refused
//	                                    Hole: nothing goes through, nothing breaks
//	                                    Slow: each piece is late, and the rate is bounded
//	                                    Heal: as if nothing had been; what a Hole
//	                                          held back goes on
//
// It understands nothing of what it carries. It counts what its faults have done,
// so that a test can tell a fault that was felt from one that nobody met.
package proxy
