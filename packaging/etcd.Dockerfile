# etcd, etcdctl and etcdutl in the version that tools/etcd pins, and nothing else.
# From the root of the tree: docker build -f packaging/etcd.Dockerfile -t talos-etcd .
FROM golang:1.26 AS build
WORKDIR /src
COPY tools/etcd/go.mod tools/etcd/go.sum ./
RUN go mod download
RUN for name in server etcdctl etcdutl; do \
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o /out/$name go.etcd.io/etcd/$name/v3 || exit 1; done \
	&& mv /out/server /out/etcd && mkdir /empty

FROM scratch
COPY --from=build /out/ /usr/bin/
COPY --from=build --chown=65532:65532 /empty /data
ENV PATH=/usr/bin
USER 65532:65532
VOLUME /data
EXPOSE 2379 2380
ENTRYPOINT ["/usr/bin/etcd"]
