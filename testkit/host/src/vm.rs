//! A VM: one instance of a module, and its contexts.

use crate::abi::{self, Reach};
use crate::context::{Context, HttpStream, Root};
use crate::journal::Call;
use crate::metrics::MetricIds;
use crate::process::Process;
use crate::{Callback, Error, Host, Journal, Module, Record, Status, Stream, Trap, Value};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use wasmi::{Func, Store, Val};

/// How a VM is set up (`vm_config` of Envoy's `PluginConfig`).
#[derive(Clone, Debug)]
pub struct VmConfig {
    /// VMs with one id share their data.
    pub vm_id: String,
    pub environment: Vec<(String, String)>,
    /// What `proxy_on_vm_start` can read.
    pub configuration: Vec<u8>,
    /// A callback that uses more fuel traps, so that an endless loop ends.
    pub fuel_limit: u64,
    /// A configuration is tried in a VM of its own first, as in Envoy.
    pub trial: bool,
}

impl Default for VmConfig {
    fn default() -> Self {
        Self {
            vm_id: String::new(),
            environment: Vec::new(),
            configuration: Vec::new(),
            fuel_limit: 10_000_000_000,
            trial: true,
        }
    }
}

/// One instance of a module, such as each worker thread of a proxy has.
/// Cloning makes another handle of the same VM.
#[derive(Clone)]
pub struct Vm {
    worker: Arc<Mutex<Worker>>,
    host: Host,
    module: Module,
}

/// A configuration in force: a root context of its VM.
pub struct Plugin {
    vm: Vm,
    root: u32,
}

/// The data of the store: what hostcalls work on.
pub(crate) struct State {
    pub(crate) host: Host,
    pub(crate) config: VmConfig,
    pub(crate) reach: Option<Reach>,
    pub(crate) contexts: BTreeMap<u32, Context>,
    current: u32,
    pub(crate) effective: Option<u32>,
    /// Readable while `proxy_on_configure` runs.
    pub(crate) plugin_configuration: Option<Vec<u8>>,
    pub(crate) metric_ids: MetricIds,
    /// A local response was sent in this callback: nothing goes on.
    pub(crate) stop_iteration: bool,
    /// Only logging is allowed.
    pub(crate) restricted: bool,
    pub(crate) calls: Vec<Call>,
    injection: Option<Injection>,
}

struct Injection {
    calls_before: usize,
    status: Status,
    hit: Option<&'static str>,
}

impl State {
    pub(crate) fn effective_id(&self) -> u32 {
        self.effective.unwrap_or(self.current)
    }

    pub(crate) fn effective_context(&mut self) -> &mut Context {
        let id = self.effective_id();
        self.contexts.entry(id).or_insert(Context::Vm)
    }

    pub(crate) fn effective_root(&mut self) -> Option<&mut Root> {
        let root = match self.effective_context() {
            Context::Vm => return None,
            Context::Root(_) => self.effective_id(),
            Context::Stream(stream) => stream.root,
        };
        match self.contexts.get_mut(&root) {
            Some(Context::Root(root)) => Some(root),
            _ => None,
        }
    }

    pub(crate) fn injected_failure(&mut self, name: &'static str) -> Option<Status> {
        let injection = self.injection.as_mut().filter(|i| i.hit.is_none())?;
        if injection.calls_before > 0 {
            injection.calls_before -= 1;
            return None;
        }
        injection.hit = Some(name);
        Some(injection.status)
    }

    /// A property as the current context sees it. What the host says of itself
    /// goes before what the test says of the stream, and that before what it
    /// says of the process; what the guest set itself comes last.
    ///
    /// # Errors
    /// `NotFound`, or `SerializationFailure` for what is there but cannot be
    /// written as a whole.
    pub(crate) fn property(&mut self, process: &Process, path: &[&[u8]]) -> Result<Value, Status> {
        let of_stream = matches!(self.effective_context(), Context::Stream(_));
        let of_root = |root: Option<&mut Root>, name: fn(&Root) -> &str| {
            root.map(|root| name(root).into()).ok_or(Status::NotFound)
        };
        match path {
            [b"plugin_vm_id"] => return Ok(self.config.vm_id.as_str().into()),
            [b"plugin_name"] => return of_root(self.effective_root(), |root| &root.name),
            [b"plugin_root_id"] => return of_root(self.effective_root(), |root| &root.root_id),
            [] | [b"xds"] => return Err(Status::SerializationFailure),
            [
                b"request" | b"response" | b"connection" | b"upstream" | b"source" | b"destination"
                | b"filter_state",
            ] if of_stream => return Err(Status::SerializationFailure),
            _ => {}
        }
        self.find_property(process, path).ok_or(Status::NotFound)
    }

    fn find_property(&mut self, process: &Process, path: &[&[u8]]) -> Option<Value> {
        let everywhere = || process.properties.find(path).cloned();
        let Context::Stream(stream) = self.effective_context() else {
            return everywhere();
        };
        let set_by_guest = || {
            let name = match path {
                [name] => name,
                [b"filter_state", name] => name.strip_prefix(b"wasm.")?,
                _ => return None,
            };
            let value = stream.filter_state.get(name)?;
            Some(value.as_slice().into())
        };
        stream
            .derived_property(path)
            .or_else(|| stream.properties.find(path).cloned())
            .or_else(everywhere)
            .or_else(set_by_guest)
            // No dynamic metadata is an empty message, which is no bytes.
            .or_else(|| (path == [b"metadata"]).then(|| Value::Bytes(Vec::new())))
    }
}

/// How a callback ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Ended {
    Returned(u32),
    /// The module does not export it.
    NotExported,
    /// The VM is dead, now or since earlier.
    Dead,
}

pub(crate) struct Worker {
    store: Store<State>,
    exports: BTreeMap<Callback, Func>,
    next_context: u32,
    trap: Option<Trap>,
    journal: Option<Journal>,
}

impl Worker {
    pub(crate) fn state(&mut self) -> &mut State {
        self.store.data_mut()
    }

    pub(crate) fn stream(&mut self, id: u32) -> Option<&mut HttpStream> {
        match self.state().contexts.get_mut(&id) {
            Some(Context::Stream(stream)) => Some(stream),
            _ => None,
        }
    }

    fn new_context(&mut self, context: Context) -> u32 {
        let id = self.next_context;
        self.next_context += 1;
        self.state().contexts.insert(id, context);
        id
    }

    /// Runs a callback on a context.
    pub(crate) fn call(&mut self, callback: Callback, context: u32, rest: &[u32]) -> Ended {
        let arguments: Vec<_> = std::iter::once(&context)
            .chain(rest)
            .map(|number| Val::I32(number.cast_signed()))
            .collect();
        if self.trap.is_some() {
            return Ended::Dead;
        }
        match self.exports.get(&callback).copied() {
            Some(function) => self.run(callback, context, function, &arguments),
            None => Ended::NotExported,
        }
    }

    fn run(
        &mut self,
        callback: Callback,
        context: u32,
        function: Func,
        arguments: &[Val],
    ) -> Ended {
        let state = self.state();
        state.current = context;
        state.effective = None;
        state.stop_iteration = false;
        state.calls.clear();
        let limit = state.config.fuel_limit;
        // Metering is on, so that fuel can be set and read.
        let _ = self.store.set_fuel(limit);
        let mut results = vec![Val::I32(0); function.ty(&self.store).results().len()];
        let outcome = function.call(&mut self.store, arguments, &mut results);
        let fuel = limit - self.store.get_fuel().unwrap_or(limit);
        if let Some(journal) = &mut self.journal {
            journal.records.push(Record {
                callback,
                context,
                fuel,
                calls: std::mem::take(&mut self.store.data_mut().calls),
            });
        }
        match outcome {
            Ok(()) => Ended::Returned(match results.first() {
                Some(Val::I32(number)) => number.cast_unsigned(),
                _ => 0,
            }),
            Err(error) => {
                self.trap = Some(Trap { callback, message: error.to_string() });
                Ended::Dead
            }
        }
    }

    fn start(&mut self, instance: wasmi::Instance) -> Result<(), Error> {
        let export = |worker: &Self, name| instance.get_func(&worker.store, name);
        self.state().restricted = true;
        let mut first = Vec::new();
        if let Some(initialize) = export(self, "_initialize") {
            first.push((initialize, 0));
            let main = export(self, "main").map(|main| (main, 2));
            first.extend(main.or_else(|| Some((export(self, "__main_void")?, 0))));
        } else if let Some(start) = export(self, "_start") {
            first.push((start, 0));
        }
        for (function, arguments) in first {
            let arguments = vec![Val::I32(0); arguments];
            self.run(Callback::Initialize, 0, function, &arguments);
        }
        self.state().restricted = false;
        self.alive()
    }

    fn alive(&self) -> Result<(), Error> {
        self.trap.clone().map_or(Ok(()), |trap| Err(Error::Trap(trap)))
    }

    fn configure(&mut self, name: &str, root_id: &str, configuration: &[u8]) -> Result<u32, Error> {
        let root = self.new_context(Context::Root(Root {
            name: name.to_owned(),
            root_id: root_id.to_owned(),
            ..Root::default()
        }));
        self.call(Callback::ContextCreate, root, &[0]);
        let vm_configuration = self.state().config.configuration.len() as u32;
        let mut ended = self.call(Callback::VmStart, root, &[vm_configuration]);
        let mut last = Callback::VmStart;
        if ended != Ended::Returned(0) {
            self.state().plugin_configuration = Some(configuration.to_vec());
            ended = self.call(Callback::Configure, root, &[configuration.len() as u32]);
            last = Callback::Configure;
            self.state().plugin_configuration = None;
        }
        self.alive()?;
        if ended == Ended::Returned(0) {
            self.shut_down(root);
            return Err(Error::Refused(last));
        }
        self.tidy();
        Ok(root)
    }

    /// Tells the guest that a root context ends, and forgets it.
    fn shut_down(&mut self, root: u32) {
        let done = self.call(Callback::Done, root, &[]);
        if done == Ended::Returned(0) {
            if let Some(Context::Root(root)) = self.state().contexts.get_mut(&root) {
                root.waits_for_done = true;
            }
        } else {
            self.delete(root);
        }
    }

    /// Runs `proxy_on_delete` and forgets the context.
    pub(crate) fn delete(&mut self, context: u32) -> Option<Context> {
        self.call(Callback::Delete, context, &[]);
        self.state().contexts.remove(&context)
    }

    /// What follows a callback: root contexts that said `proxy_done`, and
    /// retired ones whose last stream has gone, end.
    pub(crate) fn tidy(&mut self) {
        let contexts = &self.state().contexts;
        let in_use = |root: u32| {
            contexts
                .values()
                .any(|context| matches!(context, Context::Stream(stream) if stream.root == root))
        };
        let mut finished = Vec::new();
        let mut unused = Vec::new();
        for (id, context) in contexts {
            if let Context::Root(root) = context {
                if root.finished {
                    finished.push(*id);
                } else if root.retired && !root.waits_for_done && !in_use(*id) {
                    unused.push(*id);
                }
            }
        }
        for id in finished {
            self.delete(id);
        }
        for id in unused {
            self.shut_down(id);
        }
    }
}

impl Vm {
    pub(crate) fn start(host: Host, module: &Module, config: VmConfig) -> Result<Self, Error> {
        let state = State {
            host: host.clone(),
            config,
            reach: None,
            contexts: BTreeMap::from([(0, Context::Vm)]),
            current: 0,
            effective: None,
            plugin_configuration: None,
            metric_ids: MetricIds::default(),
            stop_iteration: false,
            restricted: false,
            calls: Vec::new(),
            injection: None,
        };
        let mut store = Store::new(module.compiled.engine(), state);
        let linker = abi::linker(module, &store)?;
        let instance = linker
            .instantiate_and_start(&mut store, &module.compiled)
            .map_err(|error| Error::Module(error.to_string()))?;
        let allocate = ["malloc", "proxy_on_memory_allocate"]
            .into_iter()
            .find_map(|name| instance.get_typed_func(&store, name).ok());
        let memory = instance.get_memory(&store, "memory");
        let (Some(memory), Some(allocate)) = (memory, allocate) else {
            let message = "its `memory` or its allocator is of an unknown type";
            return Err(Error::Module(message.to_owned()));
        };
        store.data_mut().reach = Some(Reach { memory, allocate });
        let exports = Callback::ALL
            .into_iter()
            .filter_map(|callback| Some((callback, instance.get_func(&store, callback.export())?)))
            .collect();
        let mut worker = Worker { store, exports, next_context: 1, trap: None, journal: None };
        worker.start(instance)?;
        Ok(Self { worker: Arc::new(Mutex::new(worker)), host, module: module.clone() })
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Worker> {
        self.worker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The process that the VM is in.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Brings a plugin configuration into force: a new root context, then
    /// `proxy_on_vm_start` and `proxy_on_configure`.
    ///
    /// As in Envoy, the configuration is tried first in a VM of its own, which
    /// is thrown away: what a guest refuses or traps on never reaches this one.
    /// What the guest does to the process is therefore done twice. The journal
    /// and [`Vm::inject`] leave the trial alone; [`VmConfig::trial`] does without
    /// it.
    ///
    /// # Errors
    /// [`Error::Refused`] if the guest says no; [`Error::Trap`] if it traps, or
    /// has trapped before.
    pub fn configure(&self, configuration: impl AsRef<[u8]>) -> Result<Plugin, Error> {
        self.configure_as("", "", configuration)
    }

    /// As [`Vm::configure`], with the properties `plugin_name` and
    /// `plugin_root_id`.
    ///
    /// # Errors
    /// As [`Vm::configure`].
    pub fn configure_as(
        &self,
        name: &str,
        root_id: &str,
        configuration: impl AsRef<[u8]>,
    ) -> Result<Plugin, Error> {
        let configuration = configuration.as_ref();
        let config = {
            let mut worker = self.lock();
            worker.alive()?;
            worker.state().config.clone()
        };
        if config.trial {
            let trial = Self::start(self.host.clone(), &self.module, config)?;
            trial.lock().configure(name, root_id, configuration)?;
        }
        let root = self.lock().configure(name, root_id, configuration)?;
        Ok(Plugin { vm: self.clone(), root })
    }

    /// Runs `proxy_on_tick` on every root context that asked for ticks, and
    /// says how many there are. The clock stays where it is.
    pub fn tick(&self) -> usize {
        let mut worker = self.lock();
        let ticking: Vec<u32> = worker
            .state()
            .contexts
            .iter()
            .filter(|(_, context)| {
                matches!(context, Context::Root(root) if !root.tick_period.is_zero())
            })
            .map(|(id, _)| *id)
            .collect();
        for root in &ticking {
            worker.call(Callback::Tick, *root, &[]);
            worker.tidy();
        }
        ticking.len()
    }

    /// Why the VM is dead, if it is.
    #[must_use]
    pub fn trap(&self) -> Option<Trap> {
        self.lock().trap.clone()
    }

    /// The size of the guest's memory in bytes. It never shrinks.
    #[must_use]
    pub fn memory_size(&self) -> usize {
        let mut worker = self.lock();
        let reach = worker.state().reach;
        reach.map_or(0, |reach| reach.memory.data_size(&worker.store))
    }

    /// The number of contexts that the host has not deleted, root contexts
    /// among them.
    #[must_use]
    pub fn open_contexts(&self) -> usize {
        let vm_itself = 1;
        self.lock().state().contexts.len() - vm_itself
    }

    /// Opens a journal: from now on, callbacks and hostcalls are written down.
    pub fn open_journal(&self) {
        self.lock().journal = Some(Journal::default());
    }

    /// Closes the journal and hands it over. It is empty if none was open.
    #[must_use]
    pub fn close_journal(&self) -> Journal {
        self.lock().journal.take().unwrap_or_default()
    }

    /// Makes one `proxy_*` call fail: of those from now on, the one after
    /// `calls_before` others answers `status` and does nothing.
    pub fn inject(&self, calls_before: usize, status: Status) {
        self.lock().state().injection = Some(Injection { calls_before, status, hit: None });
    }

    /// Ends the injection and says which call it made fail, or `None` if there
    /// were not enough of them.
    pub fn end_injection(&self) -> Option<&'static str> {
        self.lock().state().injection.take()?.hit
    }
}

impl Plugin {
    /// A new stream of this plugin, with a context of its own. The guest hears
    /// of it with its first headers.
    #[must_use]
    pub fn stream(&self) -> Stream {
        let stream = Context::Stream(Box::new(HttpStream::new(self.root)));
        let id = self.vm.lock().new_context(stream);
        Stream::new(self.vm.clone(), id)
    }

    /// Replaces the configuration by a new root context in the same VM. The old
    /// one ends with its last stream.
    ///
    /// # Errors
    /// As [`Vm::configure`]; the old configuration then stays in force.
    pub fn update(&mut self, configuration: impl AsRef<[u8]>) -> Result<(), Error> {
        let (name, root_id) = match self.vm.lock().state().contexts.get(&self.root) {
            Some(Context::Root(root)) => (root.name.clone(), root.root_id.clone()),
            _ => Default::default(),
        };
        let new = self.vm.configure_as(&name, &root_id, configuration)?;
        let old = std::mem::replace(&mut self.root, new.root);
        self.vm.retire(old);
        Ok(())
    }

    /// Takes the configuration out of force, as when a proxy removes the
    /// filter. It ends with its last stream.
    pub fn remove(self) {
        self.vm.retire(self.root);
    }

    /// The number of the root context.
    #[must_use]
    pub fn context(&self) -> u32 {
        self.root
    }

    /// The VM that the plugin is in.
    #[must_use]
    pub fn vm(&self) -> &Vm {
        &self.vm
    }
}

impl Vm {
    fn retire(&self, root: u32) {
        let mut worker = self.lock();
        if let Some(Context::Root(root)) = worker.state().contexts.get_mut(&root) {
            root.retired = true;
        }
        worker.tidy();
    }
}
