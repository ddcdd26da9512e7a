//! A line between a process and an engine that can be cut, held and refused.

use std::{io, net::SocketAddr};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
};
use tokio_util::task::AbortOnDropHandle;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Pass,
    /// Nobody is told anything, and nothing arrives.
    Stall,
    /// Who connects is shown out.
    Refuse,
}

pub(super) struct Proxy {
    addr: SocketAddr,
    mode: watch::Sender<Mode>,
    cuts: watch::Sender<u64>,
    _accept: AbortOnDropHandle<()>,
}

impl Proxy {
    pub(super) async fn start(target: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let addr = listener.local_addr()?;
        let (mode, modes) = watch::channel(Mode::Pass);
        let (cuts, cut) = watch::channel(0);
        let accept = AbortOnDropHandle::new(tokio::spawn(accept(listener, target, modes, cut)));
        Ok(Self { addr, mode, cuts, _accept: accept })
    }

    pub(super) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Ends every connection.
    pub(super) fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }

    pub(super) fn stall(&self) {
        self.mode.send_replace(Mode::Stall);
    }

    /// Ends every connection and lets nobody in.
    pub(super) fn refuse(&self) {
        self.mode.send_replace(Mode::Refuse);
        self.cut();
    }

    pub(super) fn pass(&self) {
        self.mode.send_replace(Mode::Pass);
    }
}

async fn accept(listener: TcpListener, target: SocketAddr, mode: watch::Receiver<Mode>, cut: watch::Receiver<u64>) {
    loop {
        let Ok((client, _)) = listener.accept().await else { continue };
        if *mode.borrow() == Mode::Refuse {
            continue;
        }
        let (mode, mut cut) = (mode.clone(), cut.clone());
        cut.mark_unchanged();
        tokio::spawn(async move {
            tokio::select! {
                _ = connect(client, target, mode) => {}
                // with the proxy it goes too
                _ = cut.changed() => {}
            }
        });
    }
}

/// Until one side ends it: then both are closed, as by the death of what they stand for.
async fn connect(client: TcpStream, target: SocketAddr, mode: watch::Receiver<Mode>) -> io::Result<()> {
    let server = TcpStream::connect(target).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    tokio::try_join!(pump(from_client, to_server, mode.clone()), pump(from_server, to_client, mode))?;
    Ok(())
}

async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut mode: watch::Receiver<Mode>) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let n = from.read(&mut buffer).await?;
        let _ = mode.wait_for(|mode| *mode != Mode::Stall).await;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        to.write_all(&buffer[..n]).await?;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    async fn echo() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        tokio::spawn(async move {
            loop {
                let (mut line, _) = listener.accept().await.unwrap();
                tokio::spawn(async move {
                    let (mut from, mut to) = line.split();
                    let _ = tokio::io::copy(&mut from, &mut to).await;
                });
            }
        });
        addr
    }

    async fn said(line: &mut TcpStream) -> io::Result<u8> {
        line.write_all(b"x").await?;
        line.read_u8().await
    }

    #[tokio::test]
    async fn it_passes_stalls_cuts_and_refuses() {
        let proxy = Proxy::start(echo().await).await.unwrap();
        let mut line = TcpStream::connect(proxy.addr()).await.unwrap();
        assert_eq!(said(&mut line).await.unwrap(), b'x');

        proxy.stall();
        let silent = tokio::time::timeout(Duration::from_millis(200), said(&mut line)).await;
        assert!(silent.is_err(), "{silent:?}");
        proxy.pass();
        assert_eq!(line.read_u8().await.unwrap(), b'x', "what was held arrives");

        proxy.cut();
        assert!(said(&mut line).await.is_err());
        let mut line = TcpStream::connect(proxy.addr()).await.unwrap();
        assert_eq!(said(&mut line).await.unwrap(), b'x');

        proxy.refuse();
        assert!(said(&mut line).await.is_err());
        let mut refused = TcpStream::connect(proxy.addr()).await.unwrap();
        assert!(said(&mut refused).await.is_err());
        proxy.pass();
        let mut line = TcpStream::connect(proxy.addr()).await.unwrap();
        assert_eq!(said(&mut line).await.unwrap(), b'x');
    }
}
