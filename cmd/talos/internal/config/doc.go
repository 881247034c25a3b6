// Package config is the configuration of `talos server`: one struct, and the
// layers that fill it.
//
//	default  <  file (--config)  <  environment (TALOS_SERVER_...)  <  flags
//
// Load reads all layers and Validate checks the whole: every fault is told at
// once, each with where it stands and what to do. The tags of a field say
// everything about it; docs/configuration.md, docs/talos.yaml, the flags and
// `talos config print` are made of them:
//
//	yaml     the key; nested structs make paths: etcd.tls.ca
//	doc      what it means, with its unit
//	flag     the flag's name, for keys that have one
//	arg      what the flag's help calls the value
//	example  a value for docs/talos.yaml where the default is empty
//	secret   "true": shown masked; "url": what is secret in a URL is masked
//
// It opens no connection, and starts nothing.
package config
