// Package fake is a Talos for tests: the real node (talos/server) over a store and
// a coordinator in memory, in the process of the test. What an application sees of
// it is what it sees of a cluster: fencing, de-duplication, long polls, errors.
//
// It is no mock and scripts nothing; it keeps nothing beyond Close; and it is not
// for production: talos dev is the same with a store on disk.
//
//	func TestMyService(t *testing.T) {
//		cluster := fake.StartT(t)
//		client := cluster.Client()
//		...
//	}
//
// A cluster has one node unless Nodes says otherwise; Stop, StartNode and Restart
// show an application how it lives through a node's end.
package fake
