# MinIO in the version that tools/minio pins, built from its sources: the image that
# was public is withdrawn. From the root of the tree, which takes some minutes:
# docker build -f packaging/minio.Dockerfile -t talos-minio .
FROM golang:1.26 AS build
WORKDIR /src/tools/minio
COPY tools/minio/go.mod tools/minio/go.sum ./
RUN go mod download
COPY tools/minio/install.sh ./
RUN CGO_ENABLED=0 ./install.sh /out/minio
# Each folder of the data folder is a bucket.
RUN mkdir -p /data/talos

FROM debian:bookworm-slim
COPY --from=build /out/minio /usr/local/bin/minio
COPY --from=build --chown=65532:65532 /data /data
COPY packaging/answers.sh /usr/local/bin/answers
ENV MINIO_BROWSER=off MINIO_UPDATE=off
USER 65532:65532
VOLUME /data
EXPOSE 9000
ENTRYPOINT ["minio"]
CMD ["server", "--quiet", "--address", ":9000", "/data"]
