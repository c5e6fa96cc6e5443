# Not built yet: no machine with docker has been at hand. The same packages have been run on x86-64 outside of a container.
# How to build and to run it: README.md in this folder. The build context holds the package's wheel and nothing else.
# To hold the base image too, name it by digest: --build-arg BASE=python:3.12-slim@sha256:...
ARG BASE=python:3.12-slim
FROM ${BASE}

# EXTRAS: cpu, or cpu,openvino. PINS: further requirements, to hold versions.
ARG EXTRAS=cpu
ARG PINS="onnxruntime==1.32.0"
ARG UID=1000
ARG GID=1000

COPY sskt_edge-*.whl /wheel/
RUN python3 -m venv /opt/edge \
    && /opt/edge/bin/pip install --no-cache-dir "$(echo /wheel/sskt_edge-*.whl)[${EXTRAS}]" ${PINS} \
    && rm /wheel/sskt_edge-*.whl \
    && mkdir /state /bundles \
    && chown "${UID}:${GID}" /state /bundles

# The list of engines that were built here lies in /state: a volume keeps it from one container to the next.
ENV PATH=/opt/edge/bin:${PATH} HOME=/state XDG_STATE_HOME=/state PYTHONUNBUFFERED=1
VOLUME /state
WORKDIR /bundles
USER ${UID}:${GID}
ENTRYPOINT ["sskt-edge"]
CMD ["eval", "/bundle"]
