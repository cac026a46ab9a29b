//! A proxy that is not there: for tests, for fuzzing, and for `release-track explain`.
//!
//! The log is the process's own: [`logged`] takes the lines of the calling thread.

use super::explain::Step;
use super::header_map::HeaderMap;
use super::{Facts, Host, Incoming, Status};
use log::{Level, LevelFilter, Log, Metadata, Record};
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Once;

/// A request and a node in memory. Header names are kept in lower case, as Envoy does.
#[derive(Clone, Debug, Default)]
pub struct FakeHost {
    /// The request's headers, in order.
    pub headers: Vec<(Vec<u8>, Vec<u8>)>,
    /// The response's headers, in order.
    pub response: Vec<(Vec<u8>, Vec<u8>)>,
    /// Properties by path, segments joined by NUL.
    pub properties: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Those that only the request at hand has.
    pub of_request: Vec<(Vec<u8>, Vec<u8>)>,
    /// Where a request with `x-release-track` has a route of its own: its cluster, and that of the
    /// route for all others.
    pub routes: Option<(String, String)>,
    /// The steps of the decisions, in words; all of them, if it is explaining.
    pub steps: Vec<String>,
    pub is_explaining: bool,
    /// Milliseconds of the Unix epoch.
    pub now_ms: u64,
    /// Shared data by key: value, and how often it was written.
    pub shared: BTreeMap<Vec<u8>, (Vec<u8>, u32)>,
    /// Before so many of the next writes of shared data another worker writes the same key.
    pub rivals: u32,
    /// Counters in the order of their ids: name and value.
    pub counters: Vec<(String, u64)>,
    /// Gauges in the order of their ids: name and value.
    pub gauges: Vec<(String, u64)>,
    /// The last "random" number: they are counted from one, once those that are given are drawn.
    pub random: u128,
    /// Those that are given.
    pub drawn: VecDeque<[u8; 16]>,
    pub environment: BTreeMap<String, String>,
    /// The local reply, if there was one.
    pub replied: Option<(u32, String)>,
    /// How often each hostcall was made.
    pub calls: BTreeMap<&'static str, usize>,
}

impl FakeHost {
    /// A proxy with this node id and these pod labels.
    pub fn node(id: &str, labels: &[(&str, &str)]) -> Self {
        capture_log();
        let mut host = Self::default();
        host.properties.insert(b"xds\0node\0id".to_vec(), id.into());
        for (name, value) in labels {
            let path = [b"xds\0node\0metadata\0LABELS\0", name.as_bytes()].concat();
            host.properties.insert(path, value.as_bytes().to_vec());
        }
        host
    }

    /// The listener's direction: 0 unspecified, 1 inbound, 2 outbound.
    pub fn direction(mut self, direction: i64) -> Self {
        let value = direction.to_le_bytes().to_vec();
        self.properties.insert(b"xds\0listener_direction".to_vec(), value);
        self
    }

    /// The next request.
    pub fn request(&mut self, headers: &[(&str, &[u8])]) {
        self.headers = headers
            .iter()
            .map(|(n, v)| (n.to_ascii_lowercase().into_bytes(), v.to_vec()))
            .collect();
    }

    /// The values of one header, as strings.
    pub fn values(&self, name: &str) -> Vec<String> {
        let lines = self.headers.iter().filter(|(n, _)| n == name.as_bytes());
        lines.map(|(_, value)| value.escape_ascii().to_string()).collect()
    }
}

impl FakeHost {
    fn called(&mut self, call: &'static str) {
        *self.calls.entry(call).or_default() += 1;
    }

    /// The counters that are not zero.
    pub fn counted(&self) -> BTreeMap<String, u64> {
        self.counters.iter().filter(|(_, count)| *count > 0).cloned().collect()
    }
}

impl<'h> Incoming<'h> for FakeHost {
    fn request_headers(&mut self) -> Result<HeaderMap<'h>, Status> {
        self.called("get_header_map_pairs");
        Ok(self.headers.iter().collect())
    }

    fn response_headers(&mut self) -> Result<HeaderMap<'h>, Status> {
        self.called("get_header_map_pairs");
        Ok(self.response.iter().collect())
    }
}

impl Facts for FakeHost {
    fn property(&mut self, path: &[u8]) -> Result<Option<Vec<u8>>, Status> {
        self.called("get_property");
        Ok(self.properties.get(path).cloned())
    }

    fn now_ms(&mut self) -> Result<u64, Status> {
        self.called("get_current_time");
        Ok(self.now_ms)
    }

    fn shared_data(&mut self, key: &[u8]) -> Result<Option<(Vec<u8>, u32)>, Status> {
        self.called("get_shared_data");
        Ok(self.shared.get(key).cloned())
    }

    fn random(&mut self) -> Result<[u8; 16], Status> {
        self.called("random_get");
        if let Some(drawn) = self.drawn.pop_front() {
            return Ok(drawn);
        }
        self.random = self.random.wrapping_add(1);
        Ok(self.random.to_be_bytes())
    }

    fn environment(&mut self, name: &str) -> Option<String> {
        self.environment.get(name).cloned()
    }

    fn explain(&mut self, step: Step<'_>) {
        self.steps.push(step.to_string());
    }

    fn is_explaining(&self) -> bool {
        self.is_explaining
    }
}

impl Host for FakeHost {
    fn set_request_header(&mut self, name: &[u8], value: &[u8]) -> Result<(), Status> {
        self.called("replace_header_map_value");
        self.headers.retain(|(n, _)| n != name);
        self.headers.push((name.to_ascii_lowercase(), value.to_vec()));
        Ok(())
    }

    fn remove_request_header(&mut self, name: &[u8]) -> Result<(), Status> {
        self.called("remove_header_map_value");
        self.headers.retain(|(n, _)| n != name);
        Ok(())
    }

    fn set_shared_data(&mut self, key: &[u8], value: &[u8], cas: u32) -> Result<(), Status> {
        self.called("set_shared_data");
        if let (Some((_, current)), Some(rivals)) =
            (self.shared.get_mut(key), self.rivals.checked_sub(1))
        {
            *current += 1;
            self.rivals = rivals;
        }
        match self.shared.get_mut(key) {
            Some((_, current)) if cas != 0 && cas != *current => return Err(Status::CAS_MISMATCH),
            Some(entry) => *entry = (value.to_vec(), entry.1 + 1),
            None => {
                self.shared.insert(key.to_vec(), (value.to_vec(), 1));
            }
        }
        Ok(())
    }

    fn define_counter(&mut self, name: &str) -> Result<u32, Status> {
        self.called("define_metric");
        let known = self.counters.iter().position(|(n, _)| n == name);
        let id = known.unwrap_or_else(|| {
            self.counters.push((name.to_owned(), 0));
            self.counters.len() - 1
        });
        Ok(id as u32)
    }

    fn increment(&mut self, counter: u32) -> Result<(), Status> {
        self.called("increment_metric");
        match self.counters.get_mut(counter as usize) {
            Some((_, count)) => *count += 1,
            None => return Err(Status::NOT_FOUND),
        }
        Ok(())
    }

    fn define_gauge(&mut self, name: &str) -> Result<u32, Status> {
        self.called("define_metric");
        let known = self.gauges.iter().position(|(n, _)| n == name);
        let id = known.unwrap_or_else(|| {
            self.gauges.push((name.to_owned(), 0));
            self.gauges.len() - 1
        });
        Ok(id as u32)
    }

    fn record(&mut self, gauge: u32, value: u64) -> Result<(), Status> {
        self.called("record_metric");
        match self.gauges.get_mut(gauge as usize) {
            Some((_, recorded)) => *recorded = value,
            None => return Err(Status::NOT_FOUND),
        }
        Ok(())
    }

    fn reply(&mut self, status: u32, body: &str) -> Result<(), Status> {
        self.called("send_local_response");
        self.replied = Some((status, body.to_owned()));
        Ok(())
    }

    fn set_response_header(&mut self, name: &[u8], value: &[u8]) -> Result<(), Status> {
        self.called("replace_header_map_value");
        self.response.retain(|(n, _)| n != name);
        self.response.push((name.to_ascii_lowercase(), value.to_vec()));
        Ok(())
    }

    fn add_response_header(&mut self, name: &[u8], value: &[u8]) -> Result<(), Status> {
        self.called("add_header_map_value");
        self.response.push((name.to_ascii_lowercase(), value.to_vec()));
        Ok(())
    }
}

thread_local! {
    static LINES: RefCell<Vec<(Level, String)>> = const { RefCell::new(Vec::new()) };
}

/// Keeps the lines that are logged, for [`logged`].
struct Lines;

impl Log for Lines {
    fn enabled(&self, _metadata: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let line = (record.level(), record.args().to_string());
        LINES.with_borrow_mut(|lines| lines.push(line));
    }

    fn flush(&self) {}
}

fn capture_log() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Where the program has a logger of its own, that one has the lines.
        if log::set_logger(&Lines).is_ok() {
            log::set_max_level(LevelFilter::Info);
        }
    });
}

/// Takes the lines of warnings and errors that this thread logged since this was last called.
pub fn warnings() -> Vec<String> {
    let lines = logged().into_iter();
    lines.filter(|(level, _)| *level <= Level::Warn).map(|(_, line)| line).collect()
}

/// Takes all that this thread logged since a fake host was first made, or since this was last
/// called.
pub fn logged() -> Vec<(Level, String)> {
    LINES.with_borrow_mut(std::mem::take)
}
