# Not built and not run yet: no Jetson has been at hand.
# How to build and to run it: README.md in this folder. The build context holds the package's wheel and nothing else.
# JetPack 6.1 and 6.2: as it stands, with CUDA 12.6, TensorRT 10.3 and Python 3.10 in the image.
# JetPack 7 has no l4t-jetpack image; use the image for Arm servers, with PINS for CUDA 13 (README.md).
# To hold the base image, name it by digest: --build-arg BASE=nvcr.io/nvidia/l4t-jetpack:r36.4.0@sha256:...
ARG BASE=nvcr.io/nvidia/l4t-jetpack:r36.4.0
FROM ${BASE}

# PINS: further requirements, to hold versions; cuda-bindings of the image's CUDA.
ARG EXTRAS=cpu
ARG PINS="cuda-bindings>=12.6,<13"
ARG UID=1000
ARG GID=1000

# TensorRT is not imported here: JetPack 6's needs libraries that the host lends to a container when it runs.
COPY sskt_edge-*.whl /wheel/
RUN apt-get update && apt-get install -y --no-install-recommends python3-venv && rm -rf /var/lib/apt/lists/* \
    && python3 -m venv --system-site-packages /opt/edge \
    && /opt/edge/bin/pip install --no-cache-dir "$(echo /wheel/sskt_edge-*.whl)[${EXTRAS}]" ${PINS} \
    && rm /wheel/sskt_edge-*.whl \
    && /opt/edge/bin/python -c "import importlib.util as u; assert u.find_spec('tensorrt'), 'no Python module tensorrt in this base image'" \
    && mkdir /state /bundles \
    && chown "${UID}:${GID}" /state /bundles

# The list of engines that were built here lies in /state: a volume keeps it from one container to the next.
ENV PATH=/opt/edge/bin:${PATH} HOME=/state XDG_STATE_HOME=/state PYTHONUNBUFFERED=1
VOLUME /state
WORKDIR /bundles
USER ${UID}:${GID}
ENTRYPOINT ["sskt-edge"]
CMD ["eval", "/bundle"]
