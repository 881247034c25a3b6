// Package faulty is a store around another one that fails where it is told to:
// for tests, and for builds that kill themselves at a given step.
//
// It decides nothing by itself: a Hook is asked about every call and answers with
// a Fault, most often by a list of rules. It is a store in every other respect,
// and without faults passes the conformance suite.
//
//	call ─► Fault.Before ─► inner store ─► Fault.After ─► answer
//
// An error from Before keeps the inner store from seeing the call; one from After
// hides that the call succeeded. An append has the same steps: Before, the inner
// append, and After between durable and acknowledged. As Append must not block,
// its steps run later, in the order of the appends:
//
//	Append ─► issue: Before, inner Append ─► complete: wait for inner, After, done
package faulty
