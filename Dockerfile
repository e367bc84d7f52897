# syntax=docker/dockerfile:1
# docker build -t docker.io/slimeio/slime-boot:vVERSION .

# Makes dist/slimeboot.mjs. The base brings npm; the Node that runs the build is the one in package-lock.json.
FROM node:24-trixie-slim AS build
WORKDIR /src
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY . .
RUN node_modules/.bin/node tools/build.ts --bundle-only

# Node and nothing else: no shell, no package manager, not root (uid 65532).
FROM gcr.io/distroless/nodejs24-debian13:nonroot
LABEL org.opencontainers.image.title="slime-boot" \
      org.opencontainers.image.description="Installs Slime lazyload from one SlimeBoot resource" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /src/LICENSE /LICENSE
COPY --from=build /src/dist/slimeboot.mjs /slimeboot.mjs
USER 65532:65532
EXPOSE 8080
# --expose-gc: memory is given back when all work is done (runtime/collect-at-rest.ts).
ENTRYPOINT ["/nodejs/bin/node", "--expose-gc", "/slimeboot.mjs"]
CMD ["run"]
